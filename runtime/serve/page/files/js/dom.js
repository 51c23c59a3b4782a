// Building elements. Strings become text, never HTML, so that titles may hold anything.

export const byId = (id) => document.getElementById(id);

// el makes an element; attributes whose names begin with "on" are listeners, false and null leave an attribute out.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

// title keeps a text of the catalogue apart from ours, in whichever direction it runs.
export const title = (text) => el("bdi", { class: "title", dir: "auto" }, text);

// put shows text in an element that stays; "" empties it.
export function put(id, text) {
  byId(id).textContent = text;
}

// hide hides an element, or shows it again.
export function hide(id, hidden = true) {
  byId(id).hidden = hidden;
}

// say tells those who listen instead of looking.
export const say = (text) => put("said", text);

const held = new WeakMap(); // of lists that were emptied under the focus: the place that it had

// keepFocus redraws a list without losing the place of a keyboard user in it: the focus goes to the button with the same
// name (class) in the row that now has the old one's place. A list that is emptied holds the focus until it has rows again.
export function keepFocus(list, redraw) {
  const focused = document.activeElement;
  const row = [...list.children].findIndex((child) => child.contains(focused));
  const place = focused === list ? held.get(list) : row >= 0 && { row, name: focused.classList[0] };
  redraw();
  held.delete(list);
  if (!place) return;
  const target = list.children[Math.min(place.row, list.children.length - 1)];
  const button = target?.querySelector(`.${place.name}:enabled`) ?? target?.querySelector("button:enabled");
  if (!button) held.set(list, place);
  (button ?? list).focus({ preventScroll: !button });
}
