// One rollout: its text, its verdicts, its tokens, and the way from its selection to the step.

import { h, link } from "../dom.js";
import { count, number, score, seconds } from "../format.js";
import { crumbs, neighbours, outcome, rated } from "../marks.js";
import { table } from "../table.js";
import { block, visible } from "../text.js";
import { strip } from "../tokens.js";
import { asked, fact } from "./group.js";

export const rollout = {
  name: "rollout",
  route: /^rollout\/(\d+)\/(\d+)$/,
  title: (params) => `Rollout ${params[0]}/${params[1]}`,
  read: (params) => [`rollouts/${params[0]}/${params[1]}`],
  near: (of) => ({
    previous: of.index > 0 ? `rollout/${of.seq}/${of.index - 1}` : null,
    next: of.index + 1 < of.samples ? `rollout/${of.seq}/${of.index + 1}` : null,
    up: `group/${of.seq}`,
  }),
  draw(of) {
    const main = of.verdicts[0];
    return [
      crumbs(link("", "Overview"), of.outcome === "trained" ? link(`step/${of.closed_version}`, `Step ${of.closed_version}`) : "No step", link(`group/${of.seq}`, `Group ${of.seq}`), `Rollout ${of.index}`),
      h("div", { class: "top" }, h("h1", null, `Rollout ${of.seq}/${of.index} `, outcome(of)), neighbours(this.near(of), "rollout")),
      h("div", { class: "split" }, h("section", { "aria-labelledby": "response-title" }, h("h2", { id: "response-title" }, "Response"), block(of.text, "Response"), generated(of)), h("section", { "aria-labelledby": "verdict-title" }, h("h2", { id: "verdict-title" }, "Verdict"), main ? verdict(of, main) : h("p", { class: "quiet" }, "None yet: it waits for its scorer."))),
      others(of),
      h("section", { "aria-labelledby": "tokens-title" }, h("h2", { id: "tokens-title" }, "Tokens"), of.strip ? strip(of.strip) : h("p", { class: "quiet" }, `Not shown: ${of.strip_missing}.`), ratio(of)),
      h("section", { "aria-labelledby": "asked-title" }, h("h2", { id: "asked-title" }, "The question and its way"), asked(of)),
    ];
  },
};

function verdict(of, one) {
  return h(
    "dl",
    { class: "facts" },
    fact("Score", rated(one.score), " ", h("span", { class: `status ${one.status}` }, one.status)),
    fact("Read", one.answer === null ? h("span", { class: "quiet" }, "no answer was read, or the scorer reads none") : h("div", { class: "said answer" }, visible(one.answer))),
    fact("Expected", h("div", { class: "said" }, visible(of.expected))),
    fact("Why", block(one.why || "-", "The scorer's words", 1500)),
    fact("Scorer", `${one.scorer} on ${one.route}, in ${seconds(one.seconds)}`),
    one.judged === null ? null : fact("Judge", `gave ${score(one.judged)}; the veto set it to 0`),
  );
}

function others(of) {
  if (of.verdicts.length < 2) return null;
  return h(
    "section",
    { "aria-labelledby": "others-title" },
    h("h2", { id: "others-title" }, "Second scores"),
    table(
      "Other verdicts on this rollout",
      [
        { head: "scorer", cell: (one) => one.scorer },
        { head: "route", cell: (one) => one.route },
        { head: "score", numeric: true, cell: (one) => score(one.score) },
        { head: "status", cell: (one) => one.status },
        { head: "why", wide: true, cell: (one) => h("span", null, visible(one.why)) },
      ],
      of.verdicts.slice(1),
    ),
  );
}

function generated(of) {
  const made = of.made;
  if (!made) {
    const one = of.verdicts[0];
    return one ? h("p", { class: "quiet" }, `${count(one.tokens, "token")} of at most ${of.limit}${one.tokens >= of.limit ? ", cut off" : ""}, by version ${one.version}`) : null;
  }
  const spans = made.spans.map((span) => `${count(span.tokens, "token")} by version ${span.version}`).join(", ");
  const how = `${made.finish_reason === "length" ? "cut off" : "ended by itself"} · ${made.engine || "engine unknown"} · temperature ${number(made.temperature, 1)}`;
  return h("p", { class: "quiet" }, `${spans} · ${how} · waited ${seconds(made.waited_seconds)}, generated in ${seconds(made.generated_seconds)}`);
}

function ratio(of) {
  if (of.outcome !== "trained") return null;
  return h("p", { class: "quiet" }, "Importance ratios are recorded as means of a step: ", link(`step/${of.closed_version}`, `step ${of.closed_version}`), ".");
}
