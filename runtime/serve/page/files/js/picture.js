// Pictures of items. They are drawn on a canvas: an <img> could not send the API key, and the content security policy
// allows no blob addresses.
import { inPath, request } from "./api.js";
import { turn } from "./catalogue.js";
import { el } from "./dom.js";

const size = 96; // twice the CSS size, for dense screens

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    draw(target);
  }
}, { rootMargin: "200px" });

const bitmaps = new Map();

// picture is an item's picture, loaded when it comes into view. The title stands beside it, so it is decoration.
export function picture(item) {
  const canvas = el("canvas", { class: "picture", width: size, height: size, "aria-hidden": "true", "data-item": item.item_id });
  if (item.has_picture) seen.observe(canvas);
  return canvas;
}

async function draw(canvas) {
  const id = Number(canvas.dataset.item);
  if (!bitmaps.has(id)) bitmaps.set(id, turn(() => load(id)).catch(() => bitmaps.delete(id) && null));
  const bitmap = await bitmaps.get(id);
  if (!bitmap) return;
  const scale = Math.min(size / bitmap.width, size / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  canvas.getContext("2d").drawImage(bitmap, (size - width) / 2, (size - height) / 2, width, height);
  canvas.classList.add("drawn");
}

async function load(id) {
  const response = await request(`v1/items/${inPath(id)}/picture`);
  return createImageBitmap(await response.blob());
}
