// Items that the page has seen, so that each is asked for once.
import { ask, inPath, Problem } from "./api.js";

const items = new Map(); // by the run's number, and by the id it was asked by
const asked = new Map();
let pictures = false;

export function remember(item) {
  items.set(item.item_id, item);
  notice([item]);
  return item;
}

// known is an item, null where the server knows of none, undefined where it was not asked.
export const known = (id) => items.get(id);

// notice looks whether any of the items has a picture.
export function notice(some) {
  pictures ||= some.some((item) => item.has_picture);
}

// hasPictures says whether any item seen so far has one.
export const hasPictures = () => pictures;

// load asks for an item, a few at a time; it gives null where there is none.
export function load(id) {
  if (items.has(id)) return Promise.resolve(items.get(id));
  if (!asked.has(id)) asked.set(id, turn(() => get(id)).finally(() => asked.delete(id)));
  return asked.get(id);
}

async function get(id) {
  try {
    items.set(id, remember(await ask(`v1/items/${inPath(id)}`)));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    items.set(id, null);
  }
  return items.get(id);
}

const places = 4;
const queue = [];
let running = 0;

// turn runs a task when fewer than four others run.
export async function turn(task) {
  if (running >= places) await new Promise((resolve) => queue.push(resolve));
  else running++;
  try {
    return await task();
  } finally {
    if (queue.length) queue.shift()();
    else running--;
  }
}
