// The registered versions, and two or more of them side by side.

import { ApiError, find, poll } from "../parts/api.js";
import { badge, card, h, outward, place } from "../parts/dom.js";
import { ago, digitsFor, figureOf, isQuality, metricName, metricValue, score, tone, triggerName, words } from "../parts/format.js";

const SECONDS = 20;
const MOST = 4;
const LESS_IS_BETTER = /loss|error|brier|ece|_bytes$|_ms$/;

/** The view. */
export function versionsView(context) {
  const chosen = new Set();
  let [told, isAsked, isUntouched] = [null, false, true];
  const list = place(h("div", {}), drawList);
  const compared = place(h("div", { "aria-live": "polite" }), drawCompared);
  const frame = h("div", { class: "stack" }, card("Versions", list.element), card("Side by side", compared.element));

  async function ask(signal) {
    try {
      told = await find(`${context.base}/versions`, { signal });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      list.fail(error);
      throw error;
    }
    isAsked = true;
    if (isUntouched && chosen.size === 0 && told) choose(told.versions);
    draw();
  }

  function draw() {
    const metric = context.known.schema?.metric ?? null;
    list.show(told, metric);
    const picked = (told?.versions ?? []).filter((one) => chosen.has(one.version)).sort((one, other) => one.version - other.version);
    compared.show(picked, told?.links ?? null, metric);
  }

  /** Production and the newest other one, to begin with. */
  function choose(versions) {
    const production = versions.find((one) => one.aliases.includes("production"));
    for (const one of [versions.find((other) => other !== production), production]) if (one) chosen.add(one.version);
  }

  function toggle(version, on) {
    isUntouched = false;
    if (on) chosen.add(version);
    else chosen.delete(version);
    for (const one of [...chosen].slice(0, Math.max(0, chosen.size - MOST))) chosen.delete(one);
    for (const box of list.element.querySelectorAll("input")) box.checked = chosen.has(Number(box.value));
    draw();
  }

  function drawList(now, metric) {
    if (now === null) return h("p", { class: "muted" }, "This server does not list versions.");
    if (now.versions.length === 0) return h("p", { class: "empty" }, "None yet.");
    const heads = ["", "Version", "", metric ? metricName(metric) : "", "Made by", "Created", "Gate", ""];
    return [
      h("div", { class: "scroll" }, h("table", { class: "versions" },
        h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, now.versions.map((one) => row(one, metric))))),
      now.links?.mlflow_model && h("p", {}, outward(now.links.mlflow_model, "All of them in MLflow")),
    ];
  }

  function row(one, metric) {
    const box = h("input", {
      type: "checkbox", value: String(one.version), checked: chosen.has(one.version), "aria-label": `Compare version ${one.version}`,
      onchange: (event) => toggle(one.version, event.target.checked),
    });
    return h("tr", { class: one.aliases.includes("production") ? "chosen" : "" },
      h("td", {}, box),
      h("td", { class: "n" }, h("b", {}, `v${one.version}`)),
      h("td", {}, one.aliases.map((alias) => badge(alias, alias === "production" ? "good" : "plain"))),
      h("td", { class: "n" }, score(one.metrics[metric])),
      h("td", {}, [triggerName(one.trigger), one.fit && `${one.fit} fit`].filter(Boolean).join(", ")),
      h("td", {}, ago(one.created_at)),
      h("td", { class: "gate" }, one.verdict && badge(words(one.outcome ?? one.verdict), tone(one.verdict)), one.reason && h("small", { class: "why" }, " ", one.reason)),
      h("td", { class: "links" }, outward(one.links?.mlflow_run, "MLflow"), " ", outward(one.links?.prefect_run, "Prefect")));
  }

  poll(SECONDS, ask, context.signal);
  let version;
  context.onNews(({ model }) => {
    const now = model?.version ?? null;
    if (version !== undefined && version !== now) ask(context.signal).catch(() => {});
    version = now;
    if (isAsked) draw(); // the metric that versions are told by may come after them
  });
  return frame;
}

function drawCompared(versions, listLinks, metric) {
  if (versions.length < 2) return h("p", { class: "empty" }, "Choose two versions or more above.");
  const names = [...new Set(versions.flatMap((one) => Object.keys(one.metrics)))]
    .filter((name) => !name.includes("/"))
    .sort((one, other) => (other === metric) - (one === metric) || one.localeCompare(other));
  const rest = names.filter((name) => !isQuality(name));
  // Scores on other rows are no contest: the best is marked where all were judged on the same ones.
  const alike = new Set(versions.map((one) => one.snapshot)).size === 1;
  const links = versions.map((one) => one.links?.mlflow_compare).filter(Boolean);
  const heads = h("tr", {}, h("th", { scope: "col" }, "Metric"), versions.map((one) =>
    h("th", { scope: "col" }, `v${one.version} `, one.aliases.includes("production") && badge("production", "good"))));
  return [
    h("div", { class: "scroll" }, h("table", { class: "compare" },
      h("thead", {}, heads),
      h("tbody", {},
        names.filter(isQuality).map((name) => metricRow(name, versions, name === metric, alike)),
        textRow(`${metricName(metric)} of production then, on the same rows`, versions, (one) =>
          `production_${metric}` in one.metrics && score(one.metrics[`production_${metric}`])),
        textRow("Verdict", versions, (one) => words(one.outcome ?? one.verdict)),
        textRow("Asked for by", versions, (one) => triggerName(one.trigger)),
        textRow("Fit", versions, (one) => one.fit),
        textRow("Parent", versions, (one) => one.parent && `v${one.parent}`),
        textRow("Snapshot", versions, (one) => one.snapshot?.slice(0, 12))))),
    rest.length > 0 && h("details", {}, h("summary", {}, "Other numbers of their runs"), h("div", { class: "scroll" }, h("table", { class: "compare" },
      h("tbody", {}, rest.map((name) => textRow(metricName(name), versions, (one) => name in one.metrics && figureOf(one.metrics[name]))))))),
    h("p", { class: "muted" }, !alike && "Each was judged on the held-out rows of its own time, so these are no contest; the gate's was on the same rows. ",
      versions.length === 2 && links.length > 0 ? outward(links.at(-1), "Compare in MLflow") : outward(listLinks?.mlflow_compare, "Compare in MLflow")),
  ];
}

function metricRow(name, versions, leads, alike) {
  const values = versions.map((one) => one.metrics[name]).filter((value) => typeof value === "number");
  const best = LESS_IS_BETTER.test(name) ? Math.min(...values) : Math.max(...values);
  const differ = alike && new Set(values).size > 1;
  const digits = differ ? digitsFor(...values.filter((value) => value !== best).map((value) => [value, best])) : 4;
  return h("tr", { class: leads ? "chosen" : "" },
    h("th", { scope: "row" }, metricName(name)),
    versions.map((one) => {
      const value = one.metrics[name];
      const wins = differ && value === best;
      return h("td", { class: `n ${wins ? "best" : ""}` }, metricValue(name, value, digits), wins && h("span", { class: "sr" }, " best"));
    }));
}

function textRow(name, versions, read) {
  return h("tr", {}, h("th", { scope: "row" }, name), versions.map((one) => h("td", { class: "n" }, read(one) || "–")));
}
