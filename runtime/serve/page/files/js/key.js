// The API key of servers that want one: asked for once, kept as long as the tab.
import { byId, put } from "./dom.js";

byId("key-cancel").addEventListener("click", () => byId("key").close());

const place = "mllm4rec.key";

export const key = () => sessionStorage.getItem(place);

let asking = null;

// newKey asks for a key where the refused one is still the newest. It gives false where the person would not say one.
export async function newKey(refused, why) {
  if (key() !== refused) return true;
  asking ??= ask(refused ? why : "").finally(() => (asking = null));
  return asking;
}

function ask(why) {
  const dialog = byId("key");
  put("key-why", why);
  byId("key-value").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use";
      if (given) sessionStorage.setItem(place, byId("key-value").value.trim());
      resolve(given);
    }, { once: true });
  });
}
