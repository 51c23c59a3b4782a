// Choosing a person by id or at random, and what they took.
import { ask, inPath, Newest } from "./api.js";
import { remember } from "./catalogue.js";
import { byId, put } from "./dom.js";
import { number, ref } from "./words.js";

const newest = new Newest();
let last = null; // the user that came last, with the id that was asked for

// people wires the form; choose(id) is called with the id of either kind.
export function people(users, choose) {
  const random = byId("random");
  random.disabled = users === 0;
  random.addEventListener("click", () => choose(1 + Math.floor(Math.random() * users)));
  const hint = () => {
    const run = byId("kind").value === "run";
    byId("user").inputMode = run ? "numeric" : "text";
    put("user-hint", run ? `From 1 to ${number(users)}.` : "As it stands in the data.");
  };
  byId("kind").addEventListener("change", hint);
  hint();
  byId("people").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("user").value.trim();
    const mistake = check(text, byId("kind").value, users);
    complain(mistake);
    if (!mistake) choose(byId("kind").value === "run" ? Number(text) : text);
  });
}

function check(text, kind, users) {
  if (!text) return "Type an id first.";
  if (kind === "run" && !(/^[0-9]+$/.test(text) && Number(text) >= 1 && Number(text) <= users)) {
    return `${ref(text)} is no number from 1 to ${number(users)}.`;
  }
  return "";
}

function complain(mistake) {
  put("user-error", mistake);
  byId("user").setAttribute("aria-invalid", Boolean(mistake));
}

// loadUser calls done with a user, or with null where there is none; what went wrong stands below the field.
export async function loadUser(id, done) {
  await newest.run(async (signal) => {
    complain("");
    if (id !== null && last?.id !== id) {
      const waiting = (s) => put("user-error", s ? `The server is busy; asking again in ${s} s.` : "");
      try {
        last = { id, user: await ask(`v1/users/${inPath(id)}`, { signal, waiting }) };
        (last.user.history ??= []).forEach(remember);
      } catch (error) {
        signal.throwIfAborted();
        complain(error.message);
        return done(null);
      }
    }
    show(id);
    done(id === null ? null : last.user);
  });
}

function show(id) {
  byId("user").value = id ?? "";
  if (id !== null) byId("kind").value = typeof id === "number" ? "run" : "source";
  byId("kind").dispatchEvent(new Event("change"));
}
