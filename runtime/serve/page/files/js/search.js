// Finding items by title: a combobox with a list, after the ARIA authoring practices.
import { ask, Newest, sleep } from "./api.js";
import { hasPictures, remember } from "./catalogue.js";
import { byId, el, put, say, title } from "./dom.js";
import { picture } from "./picture.js";
import { count } from "./words.js";

const limit = 10;
const newest = new Newest();
let found = [];
let active = -1;

// search wires the field; add(item) is called with what was picked.
export function search(add) {
  const input = byId("search");
  const list = byId("found");
  const pick = (item) => {
    input.value = "";
    look(); // and what was asked for is not shown any more
    add(item);
  };
  input.addEventListener("input", look);
  input.addEventListener("focus", () => found.length && open());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => key(event, pick));
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the field
  list.addEventListener("click", (event) => {
    const item = found[event.target.closest("[role=option]")?.dataset.index];
    if (item) pick(item);
  });
}

function look() {
  const query = byId("search").value.trim();
  newest.run(async (signal) => {
    put("search-error", "");
    if (!query) return show([], "");
    await sleep(150, signal);
    const waiting = (s) => put("search-error", s ? `The server is busy; asking again in ${s} s.` : "");
    try {
      const answer = await ask(`v1/items?q=${encodeURIComponent(query)}&limit=${limit}`, { signal, waiting });
      show((answer.items ?? []).map(remember), query);
    } catch (error) {
      signal.throwIfAborted();
      show([], "");
      put("search-error", error.message);
    }
  });
}

function show(items, query) {
  found = items;
  active = -1;
  byId("found").replaceChildren(...items.map(option));
  if (query && !items.length) byId("found").append(el("li", { class: "none", role: "option", "aria-disabled": "true" }, `No title holds “${query}”.`));
  if (query) say(items.length ? `${count(items.length, "item")} found` : `No title holds “${query}”`);
  if (!query || document.activeElement !== byId("search")) return close();
  open();
  if (items.length) activate(0);
}

function option(item, index) {
  return el("li", { id: `found-${index}`, role: "option", "aria-selected": "false", "data-index": index },
    hasPictures() && picture(item),
    el("span", { class: "what" }, title(item.title), item.caption && el("span", { class: "caption", dir: "auto" }, item.caption)));
}

function key(event, pick) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && found.length) {
    event.preventDefault();
    open();
    activate(active < 0 && step < 0 ? found.length - 1 : (active + step + found.length) % found.length);
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    pick(found[active]);
  } else if (event.key === "Escape") {
    if (!byId("found").hidden) return close();
    byId("search").value = "";
    look();
  }
}

function activate(index) {
  active = index;
  for (const [i, node] of [...byId("found").children].entries()) {
    node.setAttribute("aria-selected", i === index);
    if (i === index) node.scrollIntoView({ block: "nearest" });
  }
  byId("search").setAttribute("aria-activedescendant", `found-${index}`);
}

function open() {
  byId("found").hidden = false;
  byId("search").setAttribute("aria-expanded", "true");
}

function close() {
  byId("found").hidden = true;
  byId("search").setAttribute("aria-expanded", "false");
  byId("search").removeAttribute("aria-activedescendant");
  active = -1;
}
