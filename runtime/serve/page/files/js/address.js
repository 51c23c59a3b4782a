// What is shown, in the page's address, so that it can be shared and Back works:
// ?user=17&items=3,5,~B00X&rank=fusion&category=Comedy. Bare digits are the run's numbers, "~" stands before source ids.

const write = (id) => (typeof id === "number" ? `${id}` : `~${encodeURIComponent(id)}`);

function read(text) {
  if (/^[1-9][0-9]{0,9}$/.test(text)) return Number(text);
  const bare = text.startsWith("~") ? text.slice(1) : text;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

// fromAddress gives {user, items, rank, category}; items is null where they are the user's own.
export function fromAddress(search) {
  const query = new URLSearchParams(search);
  const items = query.get("items");
  return {
    user: query.get("user") ? read(query.get("user")) : null,
    items: items === null ? null : items.split(",").filter(Boolean).map(read),
    rank: query.get("rank") ?? "",
    category: query.get("category") ?? "",
  };
}

export function toAddress({ user, items, rank, category }) {
  const query = new URLSearchParams();
  if (user !== null) query.set("user", write(user));
  if (items !== null) query.set("items", items.map(write).join(","));
  if (rank) query.set("rank", rank);
  if (category) query.set("category", category);
  return `?${query.toString().replaceAll("%2C", ",").replaceAll("%7E", "~")}`;
}
