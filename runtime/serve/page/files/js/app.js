// The page: a view (whose history, who orders, which category) lives in the address; every change writes it there, and
// what is shown is drawn from it.
import { fromAddress, toAddress } from "./address.js";
import { answers, clearAnswer, showAnswer } from "./answer.js";
import { ask } from "./api.js";
import { byId, el, put, say } from "./dom.js";
import { drawHistory, historyList } from "./history.js";
import { drawOrdering, ordering, rankOf } from "./ordering.js";
import { loadUser, people } from "./people.js";
import { prompt } from "./prompt.js";
import { search } from "./search.js";
import { count } from "./words.js";

let view = fromAddress(location.search);
let shown = { user: null, items: [] }; // what the lists show; while a person loads, the view is ahead of it
let info;

function change(next) {
  view = { ...view, ...next };
  if (view.user === null && view.items?.length === 0) view.items = null;
  const address = toAddress(view);
  if (address !== location.search) history.pushState(null, "", address);
  show();
}

function show() {
  loadUser(view.user, (user) => {
    const items = view.items ?? user?.history.map((item) => item.item_id) ?? [];
    shown = { user: view.user, items };
    drawHistory({ items, user, changed: view.items !== null });
    drawOrdering(view, info);
    if (view.user !== null && !user && view.items === null) return clearAnswer();
    const own = user && view.items === null;
    showAnswer({ user: own ? user.user_id : null, items, rank: rankOf(view, info), category: view.category }, info.limits);
  });
}

function add(item) {
  change({ ...shown, items: [...shown.items, item.item_id] });
  say(`${item.title} added to the history`);
}

function about() {
  document.title = `${info.name}: what comes next`;
  put("about", `${info.name}: ${count(info.items, "item")}, ${count(info.users, "person", "people")}`);
  const names = { retriever: "Retriever", ranker: "Language model", captioner: "Caption model" };
  byId("models").replaceChildren(...info.models.map((model) => el("li", {},
    `${names[model.kind] ?? model.kind}: ${[model.base, model.precision, `on ${model.provider}`, `version ${model.fingerprint.slice(0, 12)}`].filter(Boolean).join(", ")}`)));
}

async function start() {
  try {
    const waiting = (s) => put("about", s ? `The server is busy. Asking again in ${s} s.` : "Asking the server what it has…");
    info = await ask("v1/info", { waiting });
  } catch (error) {
    put("about", "");
    byId("about").append(`${error.message} `, el("button", { type: "button", class: "link", onclick: start }, "Try again"));
    return;
  }
  about();
  people(info.users, (user) => change({ user, items: null }));
  search(add);
  historyList((items) => change({ ...shown, items }));
  ordering(info, change);
  answers(add);
  prompt();
  addEventListener("popstate", () => { view = fromAddress(location.search); show(); });
  show();
}

start();
