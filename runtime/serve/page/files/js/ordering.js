// Who orders the suggestions, and the category they are taken from.
import { byId, el, hide, put } from "./dom.js";

const explained = {
  none: "The retriever has learnt what people take one after another. It is fast and does not read titles.",
  llm: "The language model reads the titles in the history and puts the retriever’s picks in its own order.",
  fusion: "The retriever picks, the language model reads the titles, and both opinions are weighed into one order.",
};

const radios = () => document.querySelectorAll("input[name=rank]");

// ordering wires the controls for what the server has; change gets {rank} or {category}.
export function ordering(info, change) {
  for (const radio of radios()) {
    radio.disabled = !can(info, radio.value);
    if (radio.disabled) radio.setAttribute("aria-describedby", "missing");
    radio.addEventListener("change", () => change({ rank: radio.value }));
  }
  const why = missing(info);
  hide("missing", !why);
  put("missing", why);
  const category = byId("category");
  category.append(...(info.categories ?? []).map((name) => el("option", { value: name }, name)));
  category.addEventListener("change", () => change({ category: category.value }));
  hide("category-label", !info.categories?.length);
}

export const hasRanker = (info) => info.models.some((model) => model.kind === "ranker");

// can tells whether the server has what an order needs.
const can = (info, rank) => rank === "none" || (hasRanker(info) && (rank !== "fusion" || info.fusion));

// missing says why not every order can be chosen.
function missing(info) {
  if (!hasRanker(info)) return "This server has no language model, so only the retriever’s order can be shown. A run whose recipe names one (ranker.base) has both.";
  return can(info, "fusion") ? "" : "Both opinions cannot be mixed here: this run has not found out how much each of them should count (fusion.json).";
}

// rankOf is who orders a view on this server.
export function rankOf(view, info) {
  return [view.rank, "fusion", "llm"].find((rank) => rank in explained && can(info, rank)) ?? "none";
}

export function drawOrdering(view, info) {
  const rank = rankOf(view, info);
  for (const radio of radios()) radio.checked = radio.value === rank;
  put("explain", explained[rank]);
  const category = byId("category");
  if (view.category && ![...category.options].some((option) => option.value === view.category)) {
    category.append(el("option", { value: view.category }, view.category));
    hide("category-label", false);
  }
  category.value = view.category;
}
