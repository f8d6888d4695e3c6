// One use case: its head, the run under way, and the view that is chosen below.

import { ApiError, find, get, poll } from "../parts/api.js";
import { badge, complaint, fill, h, place } from "../parts/dom.js";
import { percent, tone, words } from "../parts/format.js";
import { PANELS } from "../panels/panels.js";
import { askForRollback } from "../panels/rollback.js";
import { makeRun } from "../panels/run.js";

const STATUS_SECONDS = 4;
const QUALITY_SECONDS = 12;
/** What was known of each use case when it was looked at last: shown at once, until it is asked again. */
const memory = new Map();

/** The view of a use case, with one of its tabs. */
export function useCase(shared, name, tab, signal) {
  const known = memory.get(name) ?? { status: null, model: null, quality: null, schema: null, ended: null };
  memory.set(name, known);
  const chosen = PANELS.find(([key]) => key === tab) ?? PANELS[0];
  const listeners = new Set();
  const context = {
    name,
    signal,
    known,
    base: `/v1/${name}`,
    onNews: (listener) => { listeners.add(listener); listener(known); },
    wake: () => { status.wake(); quality.wake(); },
  };
  const tell = () => { for (const listener of listeners) listener(known); };

  async function askStatus() {
    try {
      known.status = await get(`${context.base}/retrain/status`, { signal });
      problem.show(null);
    } catch (error) {
      if (error instanceof ApiError && error.status > 0 && error.status !== 401) problem.show(error.message);
      throw error;
    }
    try {
      await learn(known.status.version);
    } catch (error) {
      if (error instanceof ApiError && error.status > 0 && error.status !== 401) problem.show(error.message);
      throw error;
    } finally {
      tell(); // the rest is shown whatever fails
    }
  }

  /** What is to be known of the version that serves: health and status both tell when it is another. */
  async function learn(version) {
    const moved = version !== (known.model?.version ?? null);
    if (version === null) known.model = null;
    else if (moved || known.model.registry.run_id === null) known.model = await get(`${context.base}/model`, { signal });
    if (moved || known.schema === null) known.schema = await get(`${context.base}/schema`, { signal });
    if (moved) {
      quality?.wake();
      shared.look();
    }
  }

  async function hear(health) {
    const told = health?.use_cases[name];
    if (!told || told.version === (known.model?.version ?? null)) return;
    await learn(told.version).then(tell, () => {}); // what fails is asked again with the status
  }

  async function askQuality() {
    try {
      known.quality = await find(`${context.base}/quality`, { signal });
      known.failed = null;
    } catch (error) {
      if (error instanceof ApiError) known.failed = { message: error.message, status: error.status };
      throw error;
    } finally {
      tell();
    }
  }

  const head = place(h("div", { class: "head" }), drawHead);
  const problem = place(h("div", {}), (message) => message && complaint({ message }));
  const run = makeRun(context);
  const view = h("div", { class: "view" });
  context.onNews(() => head.show(name, known.schema?.title ?? shared.titles.get(name) ?? name, known.status?.state ?? null, known.model?.version ?? null, known.status?.paused ?? null, known.status?.canary ?? null));
  let quality = null;
  const status = poll(STATUS_SECONDS, askStatus, signal);
  quality = poll(QUALITY_SECONDS, askQuality, signal);
  shared.listeners.add(hear);
  hear(shared.health);
  fill(view, chosen[2](context));

  const back = h("button", { type: "button", onclick: () => askForRollback(context) }, "Roll back…");
  context.onNews(() => { back.disabled = known.model === null; });
  return h(
    "div",
    {},
    h("div", { class: "title" }, head.element, h("span", { class: "push" }), h("div", { class: "row actions" }, back, run.button)),
    problem.element,
    run.element,
    h("nav", { class: "tabs", "aria-label": "Views" }, PANELS.map(([key, title]) =>
      h("a", { href: `#/${name}${key && `/${key}`}`, "aria-current": key === chosen[0] ? "page" : null }, title))),
    view,
  );
}

function drawHead(name, title, state, version, paused, canary) {
  return [
    h("h1", {}, title),
    h(
      "p",
      { class: "row" },
      h("code", {}, name),
      version !== null && badge(`version ${version} serves`, "good version"),
      version === null && state !== null && badge("no model yet", "warn"),
      state !== null && state !== "idle" && badge(words(state), tone(state)),
      canary && badge(`canary: version ${canary.version} answers ${percent(canary.share, 0)}`, "live"),
      paused && badge(`promotion paused by ${paused.actor}`, "warn"),
    ),
  ];
}
