// Rows of a ranked list.
import { hasPictures } from "./catalogue.js";
import { el, title } from "./dom.js";
import { picture } from "./picture.js";
import { percent } from "./words.js";

// firstRow is an item where the retriever put it.
export function firstRow(item) {
  return row(item, null, el("span", { class: "score figure", title: "The retriever’s score; higher is better" }, item.retriever_score?.toFixed(2) ?? ""));
}

// finalRow is an item where it ended, with how far it moved; add(item) puts it into the history.
export function finalRow(item, moves, add) {
  const name = `Add ${item.title} to the history`;
  return row(item, moves && move(item),
    score(item),
    el("button", { class: "add icon", type: "button", "aria-label": name, title: name, onclick: () => add(item) }, "+"));
}

function row(item, moved, ...rest) {
  return el("li", { "data-item": item.item_id, "data-rank": item.rank },
    el("span", { class: "place figure" }, `${item.rank}`),
    moved,
    hasPictures() && picture(item),
    el("span", { class: "what", title: item.title }, title(item.title), detail(item)),
    ...rest);
}

// detail tells what each model thought where both were asked.
function detail({ fused_score, ranker_score, retriever_rank }) {
  if (fused_score == null || ranker_score == null || retriever_rank == null) return null;
  return el("span", { class: "caption" }, `language model ${percent(ranker_score)}`);
}

// scoreName is the heading of a list's scores.
export const scoreName = (item) => (item?.fused_score != null || item?.ranker_score != null ? "chance" : item?.retriever_score != null ? "score" : "");

function move({ rank, retriever_rank: before }) {
  if (before == null) return el("span", { class: "move" });
  const by = before - rank;
  if (by === 0) return el("span", { class: "move same" }, el("span", { "aria-hidden": "true" }, "="), el("span", { class: "unseen" }, "stayed"));
  return el("span", { class: `move ${by > 0 ? "up" : "down"}`, title: `${before} → ${rank}` },
    el("span", { "aria-hidden": "true" }, `${by > 0 ? "↑" : "↓"} ${Math.abs(by)}`),
    el("span", { class: "unseen" }, `${by > 0 ? "up" : "down"} ${Math.abs(by)}, from ${before}`));
}

// score is a probability as number and bar where a model gave one, else the retriever's score.
function score({ fused_score, ranker_score, retriever_score }) {
  const probability = fused_score ?? ranker_score;
  if (probability == null) return el("span", { class: "score figure", title: "The retriever’s score; higher is better" }, retriever_score?.toFixed(2) ?? "");
  return el("span", { class: "score figure", title: "The chance that this comes next, if one of these does" }, percent(probability),
    el("meter", { min: 0, max: 1, value: Math.exp(probability), "aria-hidden": "true" }));
}
