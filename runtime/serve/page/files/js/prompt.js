// What the language model read, fetched when it is unfolded.
import { ask, Newest } from "./api.js";
import { byId, hide, put } from "./dom.js";
import { count } from "./words.js";

const newest = new Newest();
let wanted = null; // {history, candidates} of the answer that is shown
let shown; // the question that is answered below, null where none was asked

export function prompt() {
  byId("prompt").addEventListener("toggle", load);
}

// drawPrompt offers the prompt of an answer; null takes the offer away.
export function drawPrompt(question) {
  wanted = question;
  if (question) hide("prompt", false);
  else if (!byId("prompt").open) hide("prompt");
  load();
}

function load() {
  newest.run(async (signal) => {
    if (!byId("prompt").open || wanted === shown) return;
    shown = undefined;
    put("prompt-error", "");
    put("prompt-about", wanted ? "Fetching…" : "There is no prompt for this answer.");
    hide("prompt-text", true);
    const question = wanted;
    if (!question) {
      shown = null;
      return;
    }
    const waiting = (s) => put("prompt-about", s ? `The server is busy. Asking again in ${s} s.` : "Fetching…");
    try {
      const { text, tokens } = await ask("v1/prompt", { body: question, signal, waiting });
      put("prompt-text", text);
      put("prompt-about", `${count(tokens, "token")}, the pieces of words that the model reads.`);
      hide("prompt-text", false);
      shown = question;
    } catch (error) {
      signal.throwIfAborted();
      put("prompt-about", "");
      put("prompt-error", error.message);
    }
  });
}
