// Requests to the service: the key, mistakes in words, and waiting where the server asks for it.
import { key, newKey } from "./key.js";

// A Problem is an answer that is none, in the words of the server where it has some (RFC 9457).
export class Problem extends Error {
  constructor(status, { title, detail, field, code, request_id } = {}) {
    super(detail || title || `The server answered with status ${status} and no reason.`);
    Object.assign(this, { status, field: field ?? "", code, request: request_id });
  }
}

const tries = 6; // of a request that the server puts off

// ask sends a request, POST where there is a body, and gives the answer's JSON. waiting(seconds) is called each second
// while a busy server is left alone, and with 0 when the request is sent again.
export async function ask(path, options = {}) {
  const answer = await (await request(path, options)).json();
  options.signal?.throwIfAborted();
  return answer;
}

// request is ask for answers that are no JSON.
export async function request(path, { body, signal, waiting = () => {} } = {}) {
  for (let attempt = 1; ; attempt++) {
    const used = key();
    const response = await send(path, body, used, signal);
    if (response.ok) return response;
    const problem = await read(response);
    signal?.throwIfAborted();
    const later = response.headers.get("Retry-After");
    if (response.status === 401) {
      if (!(await newKey(used, problem.message))) throw problem;
    } else if (response.status === 429 || (response.status === 503 && later)) {
      if (attempt === tries) throw problem;
      await pause(Number(later) || 1, waiting, signal);
    } else {
      throw problem;
    }
  }
}

async function send(path, body, bearer, signal) {
  const headers = {};
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Problem(0, { detail: `The server does not answer (${error.message}).` });
  }
}

async function read(response) {
  try {
    return new Problem(response.status, await response.json());
  } catch {
    return new Problem(response.status);
  }
}

async function pause(seconds, waiting, signal) {
  for (let left = Math.ceil(seconds); left > 0; left--) {
    waiting(left);
    await sleep(1000, signal);
  }
  waiting(0);
}

export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

// Newest runs one task at a time: a newer one ends the older, whose answer then never shows.
export class Newest {
  #control = new AbortController();

  async run(task) {
    this.#control.abort();
    const { signal } = (this.#control = new AbortController());
    try {
      await task(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

// inPath is an id at the end of a path; by=source keeps a source's id of digits alone from being the run's number.
export const inPath = (id) => (typeof id === "number" ? `${id}` : `${encodeURIComponent(id)}?by=source`);
