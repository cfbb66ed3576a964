// The start page: health, what to do, the trend by domain, the loop, the newest steps.

import { chart } from "../chart.js";
import { h, link } from "../dom.js";
import { count, day, number, score, seconds, short } from "../format.js";
import { picture } from "../picture.js";
import { table } from "../table.js";

const SMALL = [
  ["entropy", "Entropy", "nats per token"],
  ["staleness_mean", "Staleness", "versions", 0],
  ["policy_gradient_norm", "Gradient norm", "", 0],
  ["clip_fraction", "Clip fraction", "", 0],
  ["response_tokens", "Response length", "tokens", 0],
  ["seconds", "Step time", "seconds", 0],
];
const NEWEST = 12;
const SMOOTH = 8; // steps: the live screen's mean, since one step of one domain has few groups

export const overview = {
  name: "overview",
  menu: "Overview",
  route: /^$/,
  title: () => "Overview",
  read: () => ["overview", "trend", "loop"],
  draw(overview_, trend, loop) {
    return [
      h("h1", { class: "heard" }, `Run ${overview_.run_id}`),
      health(overview_.health),
      advice(overview_.notices),
      facts(overview_, trend),
      h("section", { class: "pair", "aria-label": "Trend" }, reward(trend), heldout(trend)),
      h("section", { "aria-labelledby": "loop-title" }, h("h2", { id: "loop-title" }, "The loop", rates(loop)), picture(loop)),
      h("section", { "aria-labelledby": "steps-title" }, h("h2", { id: "steps-title" }, "Newest steps"), steps(trend)),
      h("section", { "aria-labelledby": "learner-title" }, h("h2", { id: "learner-title" }, "The learner"), h("div", { class: "small" }, SMALL.map((one) => small(trend, ...one)))),
    ];
  },
};

export function health(line) {
  return h("p", { class: `health ${line.level}`, role: "status" }, h("b", null, line.word), " ", line.reason);
}

export function advice(notices) {
  if (!notices.length) return null;
  const alarms = notices.filter((one) => one.alarm);
  const tuning = notices.filter((one) => !one.alarm);
  const list = (some, label, kind) => (some.length ? h("ul", { class: `notices ${kind}`, "aria-label": label }, some.map(item)) : null);
  return h("div", null, list(alarms, "Alarms", "alarm"), list(tuning, "Tuning", "tuning"));
}

function item(one) {
  const what = one.see ? link(one.see, one.what) : one.what;
  return h("li", { "data-row": one.see ? true : null }, h("b", null, what), h("span", null, one.mend));
}

function facts(of, trend) {
  const train = of.groups.train || {};
  const closed = Object.entries(train).filter(([name]) => name !== "open").reduce((sum, [, many]) => sum + many, 0);
  const [first, last] = ends(trend);
  const change = first && last && first !== last ? last.mean - first.mean : null;
  return h(
    "dl",
    { class: "tiles" },
    tile("Policy version", of.version ? link(`step/${of.version}`, number(of.version)) : "0", of.phase_words),
    tile("Held-out score", last ? score(last.mean) : "–", change === null ? (last ? `measured ${last.label}` : "not measured yet") : `${change >= 0 ? "+" : ""}${number(change, 2)} since the start`),
    tile("Groups trained on", link("rollouts?purpose=train&outcome=trained", number(train.trained || 0)), closed ? `of ${number(closed)} closed` : ""),
    tile("Groups open", link("open", number(Object.values(of.groups).reduce((sum, each) => sum + (each.open || 0), 0))), "in flight"),
    tile("Trained for", seconds(of.trained_seconds), `begun ${day(of.created_at)}`),
  );
}

function tile(name, value, note) {
  return h("div", null, h("dt", null, name), h("dd", null, h("span", { class: "big" }, value), h("span", { class: "note" }, note)));
}

function ends(trend) {
  const overall = trend.heldout.filter((one) => one.domain === "overall");
  return [overall[0], overall.at(-1)];
}

function reward(trend) {
  const series = trend.domains.map((domain, colour) => ({
    name: domain,
    colour,
    points: trend.steps.filter((step) => domain in step.rewards).map((step) => ({ x: step.version, y: step.rewards[domain], route: `step/${step.version}` })),
  }));
  const unit = `mean of ${SMOOTH * trend.steps_per_point} steps; faint: ${trend.steps_per_point > 1 ? `of ${trend.steps_per_point}` : "each step"}`;
  return chart({ title: "Training reward by domain", unit, series, from: 0, to: 1, format: (value) => number(value, 2), smooth: SMOOTH });
}

function heldout(trend) {
  const names = [...trend.domains, ...(trend.heldout.some((one) => one.domain === "overall") ? ["overall"] : [])];
  const series = names.map((domain) => ({
    name: domain,
    colour: domain === "overall" ? "all" : trend.domains.indexOf(domain),
    points: trend.heldout.filter((one) => one.domain === domain).map((one) => ({
      x: one.version, y: one.mean, low: domain === "overall" ? one.low : null, high: domain === "overall" ? one.high : null,
      route: `rollouts?purpose=eval&version=${one.version}`,
    })),
  }));
  return chart({ title: "Held-out score by domain", unit: "never trained on; shaded: 95 % interval", series, from: 0, to: 1, format: (value) => number(value, 2) });
}

function small(trend, name, title, unit, from) {
  const points = trend.steps.map((step) => ({ x: step.version, y: name === "seconds" ? step.seconds : step.numbers[name], route: `step/${step.version}` }));
  return chart({ title, unit, series: [{ name: "latest", colour: 0, points }], from, height: 130, format: short });
}

function rates(loop) {
  if (!loop.live) return h("span", { class: "aside" }, "not running");
  return h("span", { class: "aside" }, `${number(loop.generated_rate)} tokens/s generated, ${number(loop.trained_rate)} tokens/s trained on`);
}

function steps(trend) {
  const rows = trend.steps.slice(-NEWEST).reverse();
  const columns = [
    { head: "step", cell: (one) => link(`step/${one.version}`, `step ${one.version}`) },
    { head: "reward", numeric: true, cell: (one) => score(one.numbers.reward) },
    ...trend.domains.map((domain) => ({ head: domain, numeric: true, cell: (one) => score(one.rewards[domain]) })),
    { head: "groups", numeric: true, cell: (one) => number(one.numbers.groups) },
    { head: "staleness", numeric: true, cell: (one) => number(one.numbers.staleness_mean, 1) },
    { head: "entropy", numeric: true, cell: (one) => number(one.numbers.entropy, 2) },
    { head: "time", numeric: true, cell: (one) => seconds(one.seconds) },
  ];
  return table(`The newest ${count(rows.length, "step")}`, columns, rows, "no step yet");
}
