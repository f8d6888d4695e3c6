// Numbers, times and words as people read them.

const LOCALE = "en-GB";

/** A metric or a probability: 0.9712. */
export function score(value, digits = 4) {
  return typeof value === "number" && Number.isFinite(value) ? value.toFixed(digits) : "–";
}

const MOST_DIGITS = 9;

/** Digits after the point by which the two of each pair, and their difference, are told apart: 4 at least. */
export function digitsFor(...pairs) {
  const wanted = ([one, other]) => {
    for (let digits = 4; digits <= MOST_DIGITS; digits += 1) {
      if (one.toFixed(digits) !== other.toFixed(digits) && Math.abs(one - other) >= 0.5 * 10 ** -digits) return digits;
    }
    return 4;
  };
  return Math.max(4, ...pairs.filter((pair) => pair.every(Number.isFinite)).map(wanted));
}

/** A gain or a loss: +0.0034, −0.0012. */
export function signed(value, digits = 4) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}

/** A share as percent. */
export function percent(value, digits = 1) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const text = (100 * value).toFixed(digits);
  return value < 1 && Number(text) === 100 ? `>${(100 - 0.1 ** digits).toFixed(digits)}%` : `${text}%`;
}

/** A whole number with separators. */
export function count(value) {
  return typeof value === "number" ? value.toLocaleString(LOCALE) : "–";
}

/** A word in the plural where it has to be. */
export function many(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** How long: 850 ms, 12 s, 3 min, 2 h, 5 d. */
export function span(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** A moment, relative to now; the exact time as a title. */
export function ago(text) {
  const element = document.createElement("time");
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "–";
  element.dateTime = text;
  element.title = at.toLocaleString();
  element.className = "ago";
  element.textContent = since(at);
  return element;
}

function since(at) {
  const seconds = (Date.now() - at.getTime()) / 1000;
  if (Math.abs(seconds) < 3) return "just now";
  return seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
}

/** Let what `ago` has written follow the clock. */
export function renewTimes() {
  for (const element of document.querySelectorAll("time.ago")) element.textContent = since(new Date(element.dateTime));
}

/** A moment on the clock: today the time, else the day too. */
export function moment(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "–";
  const time = clock(at);
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${day(at)}, ${time}`;
}

/** A moment on the clock with its day, whatever the day is. */
export function dated(text) {
  const at = new Date(text);
  return moment(text) === "–" ? "–" : `${day(at)}, ${clock(at)}`;
}

function clock(at, more = {}) {
  return at.toLocaleTimeString(LOCALE, { hour: "2-digit", minute: "2-digit", hour12: false, ...more });
}

/** Times in milliseconds beside each other: as days where they are far apart, to the second where minutes are too long. */
export function timeLine(times) {
  const all = times.map((one) => new Date(one));
  if (times.at(-1) - times[0] > 3 * 86_400_000) return all.map(day);
  const written = all.map((at) => moment(at.toISOString()));
  if (new Set(written).size === written.length) return written;
  return all.map((at) => clock(at, { second: "2-digit" }));
}

/** A day; of another year with the year. */
export function day(at) {
  const thisYear = at.getFullYear() === new Date().getFullYear();
  return at.toLocaleDateString(LOCALE, { day: "numeric", month: "short", ...(thisYear ? {} : { year: "numeric" }) });
}

/** A name in configuration as words: too_little_evidence becomes "too little evidence". */
export function words(name) {
  return String(name ?? "").replaceAll("_", " ");
}

/** A metric's name: f1_macro becomes "F1 macro". */
export function metricName(name) {
  const text = words(name).replace(/\bf1\b/, "F1").replace(/\broc auc\b/, "ROC AUC").replace(/\bece\b/, "ECE");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Who or what asked for a run. */
export function triggerName(name) {
  const names = { http: "a call over HTTP", person: "a person", labels: "new labels", first_model: "the first start", schedule: "the schedule", age: "the age of production" };
  return names[name] ?? words(name);
}

/** Whether a metric says how good answers are; others tell of the training, or of what was compared. */
export function isQuality(name) {
  return !/\/|^(production|original|train|gain|judged|onnx|drift|record)(_|$)|_rows$|seconds/.test(name);
}

/** The value of a metric: sizes as whole numbers, times with three digits after the point. */
export function metricValue(name, value, digits = 4) {
  if (typeof value === "number" && /_bytes$/.test(name)) return count(Math.round(value));
  return score(value, /_ms$/.test(name) ? 3 : digits);
}

/** A number of any size. */
export function figureOf(value) {
  return Number.isInteger(value) ? count(value) : score(value);
}

/** Colour of an event, a verdict or a state. */
export function tone(name) {
  const tones = {
    promoted: "good", promote: "good", canary: "live", tried: "live", canary_ended: "warn", linked: "good", serving: "good", ok: "good", no_drift: "good", succeeded: "good",
    rejected: "plain", reject: "plain", too_little_evidence: "plain", idle: "plain", standby: "warn",
    rolled_back: "warn", taken_back: "warn", worse: "warn", held: "warn", held_back: "warn", drift: "warn", external: "warn", paused: "warn", untrained: "warn",
    stopped: "warn", stopping: "warn", degraded: "warn", refused: "bad", failed: "bad", crashed: "bad", away: "bad",
    running: "live", queued: "live", retrain: "live",
  };
  return tones[name] ?? "plain";
}
