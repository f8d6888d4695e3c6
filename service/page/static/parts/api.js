// Calls to the server that sent this page. A key stays in this tab's session storage and is never shown.

const KEY = "ratchet.key";
/** Milliseconds after which the service counts as away: to answer, and to do what it is asked. */
const PATIENCE = { GET: 10_000, POST: 60_000 };
const listeners = new Set();
let reachable = true;
let refusal = null;

/** What the header says of the whole server: no answer, and a key that is missing. */
export const SAID_ABOVE = new Set([0, 401]);

/** What the server refused, or that it did not answer (`status` 0). */
export class ApiError extends Error {
  constructor(status, code, message, details = {}, retryAfter = null) {
    super(message);
    Object.assign(this, { status, code, details, retryAfter });
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
  refusal = null;
  tell();
}

/** Be told when the server goes or comes back, or asks for a key. */
export function onState(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener), { once: true });
}

export const state = () => ({ reachable, refusal });

function tell() {
  for (const listener of listeners) listener(state());
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key === null ? more : { authorization: `Bearer ${key}`, ...more };
}

/** The raw answer of a request that succeeded; a `stream` may take as long as it likes. */
export async function call(path, { method = "GET", body, headers: more, signal, stream = false } = {}) {
  const limits = [signal, stream ? null : AbortSignal.timeout(PATIENCE[method])].filter(Boolean);
  const sent = headers({ ...(body === undefined ? {} : { "content-type": "application/json" }), ...more });
  let response;
  try {
    response = await fetch(path, { method, signal: AbortSignal.any(limits), headers: sent, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    note(false);
    throw new ApiError(0, "unreachable", "The service does not answer.");
  }
  note(true);
  if (response.ok) {
    if (refusal !== null && refusal.status === 401) {
      refusal = null;
      tell();
    }
    return response;
  }
  throw await readError(response);
}

function note(now) {
  if (now === reachable) return;
  reachable = now;
  tell();
}

async function readError(response) {
  const content = await response.json().catch(() => null);
  const { code = "failed", message = `The service answers ${response.status}.`, details = {} } = content?.error ?? {};
  const error = new ApiError(response.status, code, message, details, Number(response.headers.get("retry-after")) || null);
  if (response.status === 401) {
    refusal = error;
    tell();
  }
  if (code === "forbidden") error.message = `This needs a key with scope ${details.needs}. ${message}`;
  return error;
}

/** JSON of a GET. */
export async function get(path, options) {
  return (await call(path, options)).json();
}

/** JSON of a POST. */
export async function post(path, body = {}, options = {}) {
  return (await call(path, { ...options, method: "POST", body })).json();
}

/** JSON of a GET, or null where the route or the thing is not there. */
export async function find(path, options) {
  try {
    return await get(path, options);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** All of several, whatever fails of them; then the first that failed, so that it is asked for again. */
export async function allOf(...asked) {
  const failed = (await Promise.allSettled(asked)).find((one) => one.status === "rejected");
  if (failed) throw failed.reason;
}

/** Show in its place what was asked for, or why it did not come. */
export async function showIn(place, asked, show) {
  try {
    show(await asked);
  } catch (error) {
    if (error instanceof ApiError) place.fail(error);
    throw error;
  }
}

/**
 * Follow server-sent events to their `end`, through lost connections.
 *
 * Read from a plain request, because an EventSource cannot send a key.
 */
export async function follow(path, onEvent, signal) {
  let seen = null;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const more = seen === null ? {} : { "last-event-id": seen };
      const response = await call(path, { signal, stream: true, headers: more });
      for await (const event of readEvents(response.body)) {
        wait = 500;
        if (event.id !== null) seen = event.id;
        onEvent(event.name, event.data);
        if (event.name === "end") return;
      }
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) throw error;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, 8000);
  }
}

async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n").filter((line) => !line.startsWith(":"));
      const part = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
      const data = part("data");
      if (data !== null) yield { id: part("id"), name: part("event") ?? "message", data: JSON.parse(data) };
    }
  }
}

/** Wait, or until the signal. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/**
 * Ask again and again while somebody looks: `ask` every `seconds`, sooner when `wake` is called.
 *
 * What fails waits longer each time; it is asked again when the page is shown.
 */
export function poll(seconds, ask, signal) {
  let timer = 0;
  let failures = 0;
  let turn = 0;
  async function look() {
    clearTimeout(timer);
    const mine = ++turn;
    try {
      if (!document.hidden) await ask(signal);
      failures = 0;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) console.error(error);
      failures += 1;
    }
    if (mine === turn && !signal.aborted) timer = setTimeout(look, 1000 * Math.min(30, seconds * 1.6 ** failures));
  }
  const wake = () => { if (!document.hidden) look(); };
  document.addEventListener("visibilitychange", wake, { signal });
  onState((now) => { if (now.reachable && now.refusal === null && failures > 0) look(); }, signal);
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  const first = look();
  return { wake: look, first };
}
