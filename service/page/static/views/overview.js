// All use cases at a glance, and the servers behind them.

import { ApiError, SAID_ABOVE, allOf, find, get, poll } from "../parts/api.js";
import { replicasCard } from "../panels/replicas.js";
import { sparkline } from "../parts/chart.js";
import { badge, card, h, meter, place } from "../parts/dom.js";
import { ago, count, many, metricName, percent, tone, triggerName, words } from "../parts/format.js";

const SECONDS = 8;
const SERVERS = { database: "PostgreSQL", mlflow: "MLflow", prefect: "Prefect", worker: "Worker", supervisor: "Supervisor" };
const DOES = { worker: "runs flows", supervisor: "keeps the servers running" };
const WITHOUT = { prefect: "so retrains that are asked for wait until it is back" };
const known = new Map();

/** The view. */
export function overview(shared, signal) {
  const servers = place(h("ul", { class: "servers" }), drawServers);
  const replicas = replicasCard();
  const cards = h("div", { class: "cards" });
  const places = new Map();

  function show(health) {
    servers.show(health.dependencies, health.status, health.journal?.backlog_bytes ?? 0);
    replicas.show(health.replicas, health.server);
    for (const [name, told] of Object.entries(health.use_cases)) {
      if (!places.has(name)) {
        places.set(name, place(h("a", { class: "card use-case", href: `#/${name}` }), drawCard));
        cards.append(places.get(name).element);
      }
      const { status = null, quality = null, statusFailed = null, qualityFailed = null } = known.get(name) ?? {};
      places.get(name).show(shared.titles.get(name) ?? name, name, told, status, quality, { statusFailed, qualityFailed });
    }
  }

  async function ask() {
    if (shared.health === null) return;
    await allOf(...Object.keys(shared.health.use_cases).map(async (name) => {
      const learn = async (part, asked) => {
        try {
          const come = await asked;
          known.set(name, { ...known.get(name), [part]: come, [`${part}Failed`]: null });
        } catch (error) {
          if (error instanceof ApiError) known.set(name, { ...known.get(name), [`${part}Failed`]: SAID_ABOVE.has(error.status) ? null : error.message });
          throw error;
        } finally {
          show(shared.health);
        }
      };
      await allOf(learn("status", get(`/v1/${name}/retrain/status`, { signal })), learn("quality", find(`/v1/${name}/quality`, { signal })));
    }));
  }

  shared.listeners.add(show);
  if (shared.health !== null) show(shared.health);
  poll(SECONDS, ask, signal);
  return h("div", {}, h("h1", {}, "Use cases"), cards, card("Servers", servers.element), replicas.element);
}

function drawServers(dependencies, status, backlog) {
  const entry = (name, ok, text) =>
    h("li", {}, h("i", { class: `dot ${ok ? "good" : "bad"}` }), h("b", {}, name), h("span", { class: "muted" }, text));
  return [
    entry("Service", true, backlog > 1e6 ? `answers; ${count(Math.round(backlog / 1e6))} MB of predictions wait for the database` : "answers"),
    Object.entries(dependencies).map(([name, told]) =>
      entry(SERVERS[name] ?? name, told.ok, told.ok ? (told.elsewhere ? "runs elsewhere" : DOES[name] ?? "answers") : `${name === "supervisor" ? "says" : "away"}${name in WITHOUT ? `, ${WITHOUT[name]}` : ""}: ${told.error}`)),
  ];
}

function drawCard(title, name, told, status, quality, { statusFailed, qualityFailed }) {
  const live = quality?.total?.labelled ? quality : null;
  const now = live && newestAnswers(status?.quality, live);
  return [
    h(
      "header",
      {},
      h("h2", {}, title),
      h("span", { class: "push" }),
      status?.state && status.state !== "idle" && badge(words(status.state), "live"),
      badge(told.state === "serving" ? `v${told.version}` : words(told.state), tone(told.state)),
    ),
    h(
      "div",
      { class: "glance" },
      h("div", { class: "figure" },
        h("b", {}, now ? percent(now.accuracy) : "–"),
        h("small", {}, now ? `live ${metricName(live.metric).toLowerCase()}, ${howSure(now)}` : qualityFailed ? "not known" : "no labelled answers yet"),
        now && live.coverage.warning && h("small", { title: live.coverage.warning }, `${percent(live.coverage.share)} of answers labelled`)),
      live && sparkline(live.windows.map((one) => one.accuracy), `Live ${live.metric} over time`),
    ),
    status && drawLabels(status),
    h(
      "ul",
      { class: "lines" },
      Object.entries(told.refused).map(([version, why]) => line("bad", `Version ${version} is refused`, why)),
      Object.entries(told.postponed ?? {}).map(([version, one]) => line("warn", `Version ${version} cannot be loaded now, and is tried again`, one.problem)),
      told.problem && line("bad", "MLflow no longer has production", told.problem),
      status?.paused && line("warn", "Promotion is paused", status.paused.reason),
      statusFailed && line("bad", "Its state cannot be read", statusFailed),
      qualityFailed && line("bad", "Its live quality cannot be read", qualityFailed),
      status?.canary && line("live", "Canary", `version ${status.canary.version} is tried beside ${status.canary.against}, on ${percent(status.canary.share, 0)} of the keys`),
      status && [drawDrift(status.drift), drawLast(status.last_run)],
      told.state === "untrained" && line("warn", "No model yet", status?.recommendation.needs ?? ""),
    ),
  ];
}

/** The newest labelled answers of production, as `ratchet status` has them; before the status has come, of the newest window. */
export function newestAnswers(told, quality) {
  return told?.newest ?? newestOfProduction(quality);
}

/** The interval of a share of right answers, and of how many. */
export function howSure({ low, high, labelled }) {
  return `${percent(low, 0)} to ${percent(high, 0)} by ${many(labelled, "labelled answer")}`;
}

/** The newest window, if it is of what production is now: after a move the last answers are of what was before. */
function newestOfProduction({ windows, promotions, total }) {
  const moved = (promotions ?? []).at(-1);
  const newest = windows.at(-1) ?? total;
  if (!moved || !newest.from) return newest;
  const isSince = new Date(newest.from) >= new Date(moved.at);
  return isSince && (newest.version === null || newest.version !== moved.from) ? newest : null;
}

function line(dot, strong, text) {
  return h("li", {}, h("i", { class: `dot ${dot}` }), h("span", {}, strong, text && h("small", {}, " ", text)));
}

/** How many labels wait, and of how many. */
export function drawLabels(status) {
  const { new: fresh, since, untried, every, total } = status.labels;
  const tried = `${count(untried)} untried by a run`;
  const of = status.version === null ? tried : `${many(fresh, "new label")} since ${since}, ${tried}`;
  const waits = every !== null && `${count(untried)} of ${many(every, "untried label")} until the next retrain`;
  return h(
    "div",
    { class: "labels" },
    h("div", { class: "row" }, h("span", {}, of), h("span", { class: "push" }), h("small", {}, `${count(total)} in all`)),
    every !== null && meter(untried / every, waits),
    every !== null && h("small", {}, waits),
  );
}

function drawDrift(drift) {
  if (!drift) return line("plain", "Drift not checked yet");
  const moved = Object.keys(drift.moved).length > 0 ? `${drift.sentence}, ` : "";
  const said = { drift: "Drift", no_drift: "No drift" }[drift.verdict] ?? `Drift: ${words(drift.verdict)}`;
  return h("li", {}, h("i", { class: `dot ${tone(drift.verdict)}` }), h("span", {}, said, h("small", {}, " ", moved, ago(drift.at))));
}

function drawLast(run) {
  if (!run) return line("plain", "Never retrained here");
  const outcome = run.outcome ?? run.status;
  return h(
    "li",
    {},
    h("i", { class: `dot ${tone(outcome)}` }),
    h("span", {}, `Last run: ${words(outcome)}`, ["promoted", "canary"].includes(run.outcome) && run.version ? ` v${run.version}` : "",
      h("small", {}, " ", run.trigger && `asked for by ${triggerName(run.trigger)}, `, ago(run.finished_at ?? run.requested_at))),
  );
}
