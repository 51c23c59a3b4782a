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
  const ranker = hasRanker(info);
  for (const radio of radios()) {
    radio.disabled = radio.value !== "none" && !ranker;
    if (radio.disabled) radio.setAttribute("aria-describedby", "missing");
    radio.addEventListener("change", () => change({ rank: radio.value }));
  }
  hide("missing", ranker);
  put("missing", ranker ? "" : "This server has no language model, so only the retriever’s order can be shown. A run whose recipe names one (ranker.base) has both.");
  const category = byId("category");
  category.append(...(info.categories ?? []).map((name) => el("option", { value: name }, name)));
  category.addEventListener("change", () => change({ category: category.value }));
  hide("category-label", !info.categories?.length);
}

export const hasRanker = (info) => info.models.some((model) => model.kind === "ranker");

// rankOf is who orders a view on this server.
export function rankOf(view, info) {
  if (!hasRanker(info)) return "none";
  return view.rank in explained ? view.rank : "fusion";
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
