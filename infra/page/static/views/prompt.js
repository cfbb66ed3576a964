// One prompt: why it was chosen, and its responses over the versions.

import { chart } from "../chart.js";
import { h, link } from "../dom.js";
import { mean, number, score } from "../format.js";
import { crumbs, outcome, rated, scores } from "../marks.js";
import { table } from "../table.js";
import { block, visible } from "../text.js";
import { fact } from "./group.js";

export const prompt = {
  name: "prompt",
  route: /^prompt\/(.+)$/,
  title: () => "Prompt",
  read: (params) => [`prompts/${params[0]}`],
  near: () => ({ up: "" }),
  draw(of) {
    const told = of.explanation;
    return [
      crumbs(link("", "Overview"), `Prompt ${told.id.slice(0, 12)}`),
      h("h1", null, "Prompt ", h("span", { class: "aside" }, `${told.domain}, ${told.split}, ${told.origin}`)),
      block(told.prompt, "Prompt"),
      h("h2", null, "Over the versions"),
      curve(of.samples),
      h("ol", { class: "samples" }, of.samples.toReversed().map(sample)),
      h("h2", null, "Why it is in or out"),
      decisions(told),
      h("h2", null, "What is known of it"),
      known(told),
    ];
  },
};

function curve(samples) {
  const points = samples.map((one) => ({ x: one.dispatched_version, y: mean(one.scores), route: `group/${one.seq}` })).filter((one) => one.y !== null);
  return chart({ title: "Mean score of its groups", unit: "by the version at dispatch", series: [{ name: "mean", colour: 0, points }], from: 0, to: 1, format: (value) => number(value, 2) });
}

function sample(one) {
  return h(
    "li",
    { "data-row": true },
    h("h3", null, link(`group/${one.seq}`, `Version ${one.dispatched_version}: group ${one.seq}`), outcome(one), scores(one.seq, one.scores)),
    h("div", { class: "split" }, said(one, one.best, one.worst ? "Best" : "All alike"), one.worst ? said(one, one.worst, "Worst") : null),
  );
}

function said(group, one, name) {
  if (!one) return null;
  return h("div", null, h("p", { class: "quiet" }, link(`rollout/${group.seq}/${one.index}`, name), " ", rated(one.score)), block(one.text, `${name} response`, 300));
}

function decisions(told) {
  if (!told.decisions.length) return h("p", null, told.next);
  return table(
    "Decisions on this prompt",
    [
      { head: "round", numeric: true, cell: (one) => number(one.round) },
      { head: "version", numeric: true, cell: (one) => number(one.version) },
      { head: "decision", cell: (one) => (one.selected ? "in" : "out") },
      { head: "why", wide: true, cell: (one) => h("span", null, visible(one.why)) },
    ],
    told.decisions.toReversed(),
  );
}

function known(told) {
  return h(
    "dl",
    { class: "facts" },
    fact("Scorer", `${told.scorer}: ${told.why_scorer}`),
    told.statistics.map((one) => fact(`Posterior on ${one.route}`, `Beta(${number(one.a, 2)}, ${number(one.b, 2)}), mean ${score(one.a / (one.a + one.b))}, from ${number(one.count)} scores up to version ${one.version}`)),
    told.quarantined ? fact("Quarantined", h("span", null, visible(told.quarantined))) : null,
    fact("Source", h("span", null, visible(told.source || "-"))),
    fact("Id", h("code", null, told.id)),
  );
}
