// Lines between the two lists, from where the retriever put an item to where it ended.

const space = "http://www.w3.org/2000/svg";

// drawMoves draws a line for each item that stands in both lists. It reads where the rows lie, so call it after layout.
export function drawMoves(svg, first, final) {
  const box = svg.getBoundingClientRect();
  svg.replaceChildren();
  if (!box.width) return; // a narrow screen hides it
  svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  const from = middles(first, box.top);
  for (const [id, end] of middles(final, box.top)) {
    if (from.has(id)) svg.append(line(id, from.get(id), end, box.width));
  }
}

const middles = (list, top) => new Map([...list.children].map((row) => {
  const { y, height } = row.getBoundingClientRect();
  return [row.dataset.item, { y: y + height / 2 - top, rank: Number(row.dataset.rank) }];
}));

function line(id, start, end, width) {
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", `M4 ${start.y}C${width / 2} ${start.y} ${width / 2} ${end.y} ${width - 4} ${end.y}`);
  path.setAttribute("class", end.rank < start.rank ? "up" : end.rank > start.rank ? "down" : "same");
  path.dataset.item = id;
  return path;
}

// highlight marks an item in everything inside root while the pointer or the focus is on one of its rows.
export function highlight(root) {
  const mark = (event) => {
    const id = event.type === "pointerleave" || event.type === "focusout" ? null : event.target.closest?.("[data-item]")?.dataset.item;
    for (const node of root.querySelectorAll("[data-item]")) node.classList.toggle("marked", node.dataset.item === id);
  };
  for (const type of ["pointerover", "pointerleave", "focusin", "focusout"]) root.addEventListener(type, mark);
}
