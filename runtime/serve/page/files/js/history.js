// The history as a list that can be changed, newest first.
import { hasPictures, known, load } from "./catalogue.js";
import { byId, el, hide, keepFocus, put, say, title } from "./dom.js";
import { picture } from "./picture.js";
import { count, number, ref } from "./words.js";

const few = 30; // shown before all are asked for
let showAll = false;
let drawn = null;

// historyList wires the buttons around the list; change(items) is called with the new ids, oldest first, or with null
// for those that the user took.
export function historyList(change) {
  byId("clear").addEventListener("click", () => { change([]); byId("search").focus(); });
  byId("undo").addEventListener("click", () => { change(null); byId("items").focus(); });
  byId("all").addEventListener("click", () => { showAll = true; redraw(); byId("items").focus(); });
  byId("items").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) edit(button.classList[0], Number(button.closest("li").dataset.place), change);
  });
}

// edit does what a button of the item at place (from 0, oldest first) says, and keeps the focus with the item.
function edit(what, place, change) {
  const items = [...drawn.items];
  const [id] = items.splice(place, 1);
  const to = place + { newer: 1, older: -1, remove: 0 }[what];
  if (what !== "remove") items.splice(to, 0, id);
  const name = known(id)?.title ?? ref(id);
  change(items);
  say(what === "remove" ? `${name} removed` : `${name} is now number ${items.length - to} of ${items.length}`);
  if (what === "remove" && items.length === 0) byId("search").focus();
  if (what === "remove") return;
  const row = byId("items").querySelector(`[data-place="${to}"]`);
  (row?.querySelector(`.${what}:enabled`) ?? row?.querySelector("button:enabled"))?.focus();
}

// drawHistory shows the ids of a history and whose it is. user is the user or null; changed says that the items are no
// longer theirs.
export function drawHistory(history) {
  if (drawn?.user !== history.user) showAll = false;
  drawn = history;
  redraw();
}

function redraw() {
  const { items, user, changed } = drawn;
  put("whose", whose(user, changed, items.length));
  hide("clear", items.length === 0);
  hide("undo", !(user && changed));
  put("undo", user ? `Back to person ${user.user_id}’s own` : "");
  const shown = showAll ? items.length : Math.min(items.length, few);
  hide("all", shown === items.length);
  put("all", `Show all ${number(items.length)}`);
  keepFocus(byId("items"), () => byId("items").replaceChildren(
    ...items.map((id, place) => [id, place]).reverse().slice(0, shown).map(([id, place]) => row(id, place, items.length))));
}

function whose(user, changed, length) {
  if (!user) return length ? `Your own list, ${count(length, "item")}` : "Nothing yet.";
  const source = user.source_id === `${user.user_id}` ? "" : ` (${user.source_id})`;
  return `Person ${user.user_id}${source}${changed ? ", changed" : ""}, ${count(length, "item")}`;
}

function row(id, place, length) {
  const item = known(id);
  const name = item ? item.title : ref(id);
  const node = el("li", { "data-place": place, class: item === null && "unknown" },
    hasPictures() && (item ? picture(item) : el("span", { class: "picture" })),
    what(id, item),
    el("span", { class: "buttons" },
      button("newer", "↑", `Move ${name} up, to newer`, place === length - 1),
      button("older", "↓", `Move ${name} down, to older`, place === 0),
      button("remove", "×", `Remove ${name}`, false)));
  if (item === undefined) {
    load(id).then(() => node.isConnected && node.replaceWith(row(id, place, length)),
      (error) => node.querySelector(".what").replaceChildren(`${ref(id)} could not be loaded: ${error.message}`));
  }
  return node;
}

function what(id, item) {
  if (item === undefined) return el("span", { class: "what muted" }, "…");
  if (item === null) return el("span", { class: "what muted" }, `${ref(id)} is not in the catalogue`);
  return el("span", { class: "what", title: item.title }, title(item.title), item.caption && el("span", { class: "caption", dir: "auto" }, item.caption));
}

const button = (name, sign, label, disabled) =>
  el("button", { class: `${name} icon`, type: "button", "aria-label": label, title: label, disabled }, sign);
