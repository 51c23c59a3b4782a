// Asking what comes next, and showing both orders beside each other.
import { ask, Newest, sleep } from "./api.js";
import { notice } from "./catalogue.js";
import { byId, el, hide, keepFocus, put } from "./dom.js";
import { drawMoves, highlight } from "./moves.js";
import { drawNotes, drawTimings, notesOf } from "./notes.js";
import { drawPrompt } from "./prompt.js";
import { finalRow, firstRow, scoreName } from "./ranked.js";
import { count } from "./words.js";

const size = 20; // of both lists
const settle = 250; // ms without a change before the server is asked
const newest = new Newest();
const titles = { none: "The retriever’s order", llm: "The language model’s order", fusion: "Both together", popularity: "Most popular" };

let add;

// answers wires the lists; adding(item) puts a suggestion into the history.
export function answers(adding) {
  add = adding;
  highlight(byId("lists"));
  const redraw = () => drawMoves(byId("moves"), byId("first-items"), byId("final-items"));
  new ResizeObserver(redraw).observe(byId("lists"));
  byId("first-more").addEventListener("click", () => {
    byId("first-more").setAttribute("aria-expanded", "true");
    byId("first").classList.add("whole");
  });
}

// showAnswer asks for what comes next after question {user, items, rank, category} and shows it. items are ids, oldest first; user
// is set where they are that user's own.
export function showAnswer(question, limits) {
  const { rank, items } = question;
  const request = body(question, limits);
  newest.run(async (signal) => {
    await sleep(settle, signal);
    busy("Asking…");
    fail(null);
    const waiting = (s) => put("status", s ? `The server is busy. Asking again in ${s} s.` : "Asking…");
    const ranking = async (path, body) => {
      const answer = await ask(path, { body, signal, waiting });
      notice(answer.items ?? []);
      return { ...answer, items: answer.items ?? [] };
    };
    try {
      // The language model reads its own number of candidates, whatever the page shows of them.
      const candidates = limits.candidates ?? 0;
      const first = rank === "none" || !items.length ? null
        : await ranking("v1/retrieve", { ...request, k: Math.min(Math.max(request.k, candidates), limits.k) });
      const read = (first?.items ?? []).slice(0, candidates).map((item) => item.item_id);
      first?.items.splice(request.k);
      if (first?.items.length) { drawFirst(first, titles[rank]); put("status", "The language model is reading…"); }
      const final = first && !first.items.length ? first
        : await ranking("v1/recommend", { ...request, rank: items.length ? rank : "none" });
      drawFinal(final, first, items.length, Math.min(items.length, request.history?.length ?? items.length));
      drawPrompt(read.length && final.ranked_by !== "popularity" ? { history: items.slice(-limits.history), candidates: read } : null);
    } catch (error) {
      signal.throwIfAborted();
      fail(error, () => showAnswer(question, limits));
    }
  });
}

// clearAnswer shows that there is nothing to ask.
export function clearAnswer() {
  newest.run(async () => {
    fail(null);
    idle("");
    hide("lists");
    drawNotes([]);
    drawTimings(null);
    drawPrompt(null);
  });
}

function body({ user, items, category }, limits) {
  return {
    ...(user === null ? { history: items.slice(-limits.history) } : { user_id: user }),
    k: Math.min(size, limits.k),
    ...(category && { categories: [category] }),
  };
}

function busy(words) {
  byId("lists").setAttribute("aria-busy", "true");
  put("status", words);
}

function idle(words) {
  byId("lists").setAttribute("aria-busy", "false");
  put("status", words);
}

// drawFirst shows the retriever's list at once; the language model takes longer. Its list is empty until then, for the older
// order is no longer true.
function drawFirst(first, name) {
  hide("lists", false);
  byId("lists").classList.add("both");
  byId("first").classList.toggle("whole", first.items.length <= 5);
  byId("first-more").setAttribute("aria-expanded", "false");
  put("first-more", `Show all ${first.items.length}`);
  put("final-title", name);
  put("final-score", "");
  byId("first-items").replaceChildren(...first.items.map(firstRow));
  byId("moves").replaceChildren();
  const list = byId("final-items");
  list.style.minHeight = `${list.offsetHeight}px`; // the page does not jump
  keepFocus(list, () => list.replaceChildren());
  drawNotes([]);
  drawTimings(null);
}

function drawFinal(final, first, held, sent) {
  const { items, ranked_by: by } = final;
  const both = Boolean(first) && items.length > 0 && by !== "popularity";
  hide("lists", items.length === 0);
  byId("lists").classList.toggle("both", both);
  put("final-title", titles[by] ?? by);
  put("final-score", scoreName(items[0]));
  keepFocus(byId("final-items"), () => byId("final-items").replaceChildren(...items.map((item) => finalRow(item, both, add))));
  idle(summary(final, both, held));
  drawNotes(notesOf(final, held, sent));
  drawTimings(final.timings_ms);
  byId("final-items").style.minHeight = "";
  if (both) drawMoves(byId("moves"), byId("first-items"), byId("final-items"));
}

function summary({ items, ranked_by: by }, both, held) {
  if (!items.length) return "Nothing is left to suggest: the history or the category leaves no item.";
  if (by === "popularity") return held ? "The history says nothing, so these are what most people take."
    : "With nothing to go on, these are what most people take. Choose a person or add an item to see this change.";
  const moved = items.filter((item) => item.retriever_rank != null && item.retriever_rank !== item.rank).length;
  if (!both) return `${count(items.length, "suggestion")}.`;
  return `${count(items.length, "suggestion")}; the language model moved ${moved === 0 ? "none" : moved} of them.`;
}

// fail shows what went wrong in place of the answer and beside what caused it, and takes the old answer away; null clears.
function fail(error, again) {
  const beside = { history: "history-error", categories: "category-error", user_id: "user-error" };
  for (const id of ["history-error", "category-error"]) put(id, "");
  hide("failure", !error);
  if (!error) return;
  idle("");
  for (const id of ["lists", "timings"]) hide(id);
  drawNotes([]);
  drawPrompt(null);
  const field = Object.keys(beside).find((name) => error.field?.startsWith(name));
  if (field) put(beside[field], error.message);
  byId("failure").replaceChildren(
    el("p", {}, field ? `There is no answer. ${error.message}` : error.message),
    el("p", { class: "row" }, el("button", { type: "button", onclick: again }, "Try again"),
      error.request && el("span", { class: "muted" }, `Request ${error.request}`)));
}
