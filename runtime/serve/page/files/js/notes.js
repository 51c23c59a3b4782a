// What an answer left out or shortened, and how long it took, in words.
import { byId, el, hide } from "./dom.js";
import { count, milliseconds, number, ref } from "./words.js";

const stages = { queue: "waiting for its turn", retrieve: "retriever", prompt: "writing the prompt", rank: "language model" };

// notesOf lists what people should know about an answer; held is how many items the history has, sent how many of them went.
export function notesOf({ unknown, history_used: used, cut, rounds }, held, sent) {
  const notes = [];
  if (unknown?.length) notes.push(`${count(unknown.length, "item")} not in the catalogue, left out: ${some(unknown.map(ref))}.`);
  if (sent < held) notes.push(`Only the newest ${number(sent)} of ${number(held)} items were sent; the server reads no more.`);
  if (used.retriever && used.retriever < used.given) notes.push(`The retriever looked at the newest ${number(used.retriever)} of ${number(used.given)} items.`);
  if (used.ranker && used.ranker < used.given) notes.push(`The language model read the newest ${number(used.ranker)} of ${number(used.given)} items.`);
  const short = [cut?.titles && count(cut.titles, "long title"), cut?.captions && count(cut.captions, "long caption")].filter(Boolean);
  if (short.length) notes.push(`Shortened for the language model: ${short.join(" and ")}.`);
  if (cut?.history && !used.ranker) notes.push(`${count(cut.history, "item")} of the history did not fit in the prompt.`);
  if (rounds > 1) notes.push(`The language model ranked in ${rounds} rounds, because it takes only so many at once.`);
  return notes;
}

const some = (names) => (names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", "));

export function drawNotes(notes) {
  byId("notes").replaceChildren(...notes.map((note) => el("li", {}, note)));
}

// drawTimings shows the stages of an answer; null hides them.
export function drawTimings(timings) {
  hide("timings", !timings);
  if (!timings) return;
  const ran = Object.entries(stages).filter(([stage]) => timings[stage] > 0);
  byId("timings").replaceChildren(
    el("span", {}, "Answered in ", el("strong", {}, milliseconds(timings.total))),
    ...ran.map(([stage, name]) => el("span", { class: "stage" }, `${name} `, el("span", { class: "figure" }, milliseconds(timings[stage])))));
}
