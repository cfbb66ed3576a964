// What Pre-PPO selected and why, and the shares of the domains: asked for, dispatched, trained on.

import { chart } from "../chart.js";
import { h, link } from "../dom.js";
import { DASH, day, number, score, short } from "../format.js";
import { table } from "../table.js";
import { visible } from "../text.js";

const percent = (value) => (value === null || value === undefined ? DASH : `${number(100 * value)} %`);

export const selection = {
  name: "selection",
  menu: "Selection",
  route: /^selection$/,
  title: () => "Selection",
  read: () => ["selection"],
  draw(of) {
    const newest = of.rounds[0];
    const told = newest ? `round ${newest.round} at version ${newest.version}: ${newest.rule}` : of.enabled ? "no round yet" : "Pre-PPO is off (selector.preppo.enabled): every prompt is in";
    return [
      h("h1", null, "Selection ", h("span", { class: "aside" }, told)),
      newest ? [h("h2", null, "Why the newest round let prompts in or kept them out"), table("Decisions of the newest round", reasons(), of.reasons)] : null,
      of.quarantined ? h("p", null, `${number(of.quarantined)} prompts are kept out as suspicious until a person looks at them.`) : null,
      of.most.length ? [h("h2", null, "Ranked first ", h("span", { class: "aside" }, "most worth training on, by the rule")), table("Prompts that the rule ranks first", ranked(), of.most)] : null,
      of.least.length ? [h("h2", null, "Ranked last"), table("Prompts that the rule ranks last", ranked(), of.least)] : null,
      h("h2", null, "Shares of the domains"),
      table("Shares of the domains", shares(), of.shares, "No group was dispatched for training yet."),
      of.trend.length ? h("div", { class: "small" }, [...new Set(of.trend.map((point) => point.domain))].map((domain, colour) => share(of.trend, domain, colour))) : null,
      h("h2", null, "Rounds"),
      table("Rounds of the selection", cuts(), of.rounds.flatMap(lines), "Pre-PPO has not selected yet."),
    ];
  },
};

function reasons() {
  return [
    { head: "domain", cell: (one) => one.domain },
    { head: "decision", cell: (one) => h("span", { class: `pill ${one.selected ? "trained" : "filtered"}` }, one.selected ? "in" : "out") },
    { head: "prompts", numeric: true, cell: (one) => number(one.prompts) },
    { head: "mean expected score", numeric: true, cell: (one) => score(one.mean) },
    { head: "why", wide: true, cell: (one) => one.means },
  ];
}

function ranked() {
  return [
    { head: "prompt", wide: true, cell: (one) => link(`prompt/${one.prompt_id}`, visible(one.prompt || "(empty)")) },
    { head: "domain", cell: (one) => one.domain },
    { head: "decision", cell: (one) => (one.selected ? "in" : "out") },
    { head: "expected score", numeric: true, cell: (one) => expected(one) },
    { head: "posterior", numeric: true, cell: (one) => (one.a === null ? DASH : `Beta(${number(one.a, 1)}, ${number(one.b, 1)})`) },
    { head: "scores", numeric: true, cell: (one) => number(one.scores) },
    { head: "rule", cell: (one) => one.rule },
    { head: "value", numeric: true, cell: (one) => short(one.value) },
  ];
}

function expected({ a, b }) {
  if (a === null || b === null) return DASH;
  const mean = a / (a + b);
  const spread = Math.sqrt((mean * (1 - mean)) / (a + b + 1));
  return `${number(mean, 2)} ± ${number(spread, 2)}`;
}

function shares() {
  return [
    { head: "domain", cell: (one) => one.domain },
    { head: "asked for", numeric: true, cell: (one) => percent(one.asked) },
    { head: "dispatched", numeric: true, cell: (one) => percent(one.dispatched) },
    { head: "trained on", numeric: true, cell: (one) => percent(one.trained) },
    { head: "groups dispatched", numeric: true, cell: (one) => number(one.dispatched_groups) },
    { head: "groups trained on", numeric: true, cell: (one) => link(`rollouts?purpose=train&outcome=trained&domain=${encodeURIComponent(one.domain)}`, number(one.trained_groups)) },
  ];
}

function share(trend, domain, colour) {
  const own = trend.filter((point) => point.domain === domain);
  const points = (name) => own.map((point) => ({ x: point.version, y: point[name], route: `step/${point.version}` }));
  const series = [{ name: "asked for", colour: "all", points: points("asked") }, { name: "trained on", colour, points: points("trained") }];
  return chart({ title: domain, unit: "share of the groups of 8 versions", series, from: 0, to: 1, height: 130, format: percent });
}

function lines(round) {
  const own = round.cuts.length ? round.cuts : [null];
  return own.map((cut, at) => ({ round: at ? null : round, cut }));
}

function cuts() {
  const first = (show) => ({ round }) => (round ? show(round) : "");
  const cut = (show) => ({ cut: one }) => (one ? show(one) : "");
  return [
    { head: "round", numeric: true, cell: first((one) => number(one.round)) },
    { head: "version", numeric: true, cell: first((one) => number(one.version)) },
    { head: "at", cell: first((one) => day(one.at)) },
    { head: "settings", wide: true, cell: first((one) => (one.keep_share === null ? one.rule : `${one.rule}; keeps ${percent(one.keep_share)}`)) },
    { head: "cut of", cell: cut((one) => one.rule) },
    { head: "domain", cell: cut((one) => one.domain || "all") },
    { head: "candidates", numeric: true, cell: cut((one) => number(one.candidates)) },
    { head: "kept", numeric: true, cell: cut((one) => number(one.kept)) },
    { head: "cut at", numeric: true, cell: cut((one) => short(one.cut)) },
  ];
}
