// Replays that are kept: how the loop and other policies would have done with a history.

import { ApiError, find, poll } from "../parts/api.js";
import { card, complaint, facts, fill, h, place } from "../parts/dom.js";
import { count, day, many, moment, percent, score, signed, span } from "../parts/format.js";
import { replayChart } from "./replays_chart.js";

const SECONDS = 20;
const BEYOND = new Set(["best_in_hindsight", "bound"]);
const ABOUT = {
  default: "the loop as it is configured",
  never: "the first model serves for ever",
  always_full: "a new model of all rows after each period",
  always_window: "a new model of the newest 8 periods after each",
  best_in_hindsight: "the best of those three, which nobody knows beforehand",
  river_arf: "adaptive random forest, row by row",
  river_hat: "Hoeffding adaptive tree, row by row",
  bound: "the best of three, knowing the future",
};

/** The view. */
export function replaysView(context) {
  const which = place(h("div", {}), drawWhich);
  const rest = place(h("div", {}), drawRest);
  const policies = place(h("div", {}), drawPolicies);
  const numbers = place(h("div", {}), drawNumbers);
  const chart = replayChart();
  const failed = h("div", {});
  const about = card("Replays", failed, which.element, rest.element);
  const shown = [card("Policies", policies.element), card("Accuracy by period", chart.element, numbers.element)];
  const frame = h("div", { class: "stack" }, about);
  let listed = [];
  let chosen = null;
  let whole = null;

  async function ask(signal) {
    try {
      const told = await find(`${context.base}/replays`, { signal });
      listed = told?.replays ?? [];
      rest.show(told, context.name);
      await showChosen(signal);
      fill(failed);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(failed, complaint(error));
      throw error;
    }
  }

  async function showChosen(signal) {
    const one = listed.find((other) => other.id === chosen) ?? listed[0] ?? null;
    which.show(listed.map(({ id, at, source, periods, delay }) => ({ id, at, source, periods, delay })), one?.id ?? null);
    if (one !== null && (whole?.id !== one.id || whole.at !== one.at)) whole = await find(`${context.base}/replays/${one.id}`, { signal });
    if (one === null || whole === null) {
      for (const element of shown) element.remove();
      return;
    }
    if (!shown[0].isConnected) frame.append(...shown);
    policies.show(whole);
    chart.show(whole);
    numbers.show(whole);
  }

  function drawWhich(replays, id) {
    if (replays.length === 0) return [];
    const names = replays.map((one) => h("option", { value: one.id, selected: one.id === id }, nameOf(one)));
    const select = h("select", { onchange: (event) => { chosen = event.target.value; showChosen(context.signal).catch(() => context.wake()); } }, names);
    return h("label", { class: "which" }, h("span", {}, "Which replay"), select);
  }

  poll(SECONDS, ask, context.signal);
  return frame;
}

function nameOf({ at, source, periods, delay }) {
  return `${moment(at)}: ${source.split("/").at(-1)}, ${many(periods, "period")}${delay > 0 ? `, labels ${many(delay, "period")} late` : ""}`;
}

/** What there is besides those that can be chosen, or how to make the first. */
function drawRest(told, name) {
  if (told === null) return h("p", { class: "muted" }, "This server does not list replays.");
  const { replays, unended, failed, damaged } = told;
  return [
    replays.length === 0 && [
      h("p", { class: "empty" }, "None yet. A replay plays labelled history through the loop and beside other policies, and says how well each would have answered. On the machine of this service:"),
      h("pre", {}, `ratchet replay ${name} --data FILE --periods 1w`),
      h("p", { class: "note" }, "Without ", h("code", {}, "--data"), " it plays the stored labels. Nothing that serves or is stored changes."),
    ],
    unended.map((one) => h("p", { class: "note" }, `${one.id}: ${many(one.fits, "fit")} made, the last ${moment(one.last_at)}; under way, or stopped: ${one.command === null ? "the same command" : ""}`, one.command !== null && h("code", {}, one.command), " goes on where it was.")),
    failed.map((one) => h("p", { class: "complaint failed" }, `${one.id} failed ${moment(one.at)}: ${one.error}. Once that is mended, `, h("code", {}, one.command), ` tries it again; ${many(one.fits, "fit")} need not be made again.`)),
    damaged.map((one) => h("p", { class: "complaint" }, `${one.id} is damaged: ${one.problem}. The same command writes it again.`)),
  ];
}

function drawPolicies(replay) {
  const { policies } = replay;
  const own = policies.default.accuracy;
  const best = Math.max(...Object.entries(policies).filter(([name]) => !BEYOND.has(name)).map(([, one]) => one.accuracy));
  const heads = ["Policy", "Accuracy", "Against default", "Promoted", "Worse", "Harmful", "Undone", "Time of fits"];
  return [
    h("p", { class: "advice" }, sentence(policies)),
    facts([
      ["Played", `${many(replay.periods, "period")}, ${count(replay.rows)} rows`],
      ["The first model learned from", `${count(replay.first_rows)} rows`],
      ["Labels came", replay.delay === 0 ? "when a period had ended" : `${many(replay.delay, "period")} late`],
      ["Source", replay.source],
      ["Rows that could not be used", replay.refused > 0 && count(replay.refused)],
    ]),
    h("div", { class: "scroll" }, h("table", { class: "policies" },
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, Object.entries(policies).map(([name, one]) => h("tr", { class: name === "default" ? "chosen" : "" },
        h("th", { scope: "row" }, name, h("small", { class: "note" }, ABOUT[name] ?? "a policy of a file")),
        h("td", { class: `n ${one.accuracy === best && !BEYOND.has(name) ? "best" : ""}` }, score(one.accuracy), one.accuracy === best && !BEYOND.has(name) && h("span", { class: "sr" }, " best")),
        h("td", { class: "n" }, name === "default" ? "" : signed(one.accuracy - own)),
        [one.promotions, one.worse, one.harmful, one.rollbacks].map((number) => h("td", { class: "n" }, count(number))),
        h("td", { class: "n" }, span(one.fit_seconds))))))),
    Object.entries(replay.left_out).map(([name, why]) => h("p", { class: "note" }, `${name} is left out: ${why}`)),
    h("p", { class: "note" }, "Worse: promotions after which the replaced model would have done better in the next period; harmful are those of them that chance does not explain."),
  ];
}

/** How the default stands to the others. */
function sentence(policies) {
  const against = (name, words) => {
    if (!(name in policies)) return null;
    const gain = policies.default.accuracy - policies[name].accuracy;
    const points = `${Math.abs(100 * gain).toFixed(1)} points`;
    return points === "0.0 points" ? `as good as ${words}` : `${points} ${gain > 0 ? "above" : "below"} ${words}`;
  };
  const parts = [against("never", "a first model for ever"), against("best_in_hindsight", "the best policy in hindsight"), against("bound", "the best of three by who knows the future")];
  return `The loop as it is configured answers ${percent(policies.default.accuracy)} rightly: ${parts.filter(Boolean).join(", ")}.`;
}

function drawNumbers(replay) {
  const names = Object.keys(replay.policies);
  const { notes, promoted_at: promoted } = replay.policies.default;
  const rows = Array.from({ length: replay.periods }, (_, index) => index);
  return h("details", {}, h("summary", {}, "The numbers, and what the gate said"), h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Period", "From", ...names, "Before it, the default"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((index) => h("tr", { class: promoted.includes(index) ? "chosen" : "" },
      h("th", { scope: "row" }, String(index + 1)),
      h("td", {}, replay.starts[index] === null ? "–" : day(new Date(replay.starts[index]))),
      names.map((name) => h("td", { class: "n" }, percent(replay.policies[name].by_period[index]))),
      h("td", { class: "said-of" }, index === 0 ? "" : notes[index - 1] ?? "")))))));
}
