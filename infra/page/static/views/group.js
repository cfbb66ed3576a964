// One group side by side: the prompt, what was expected, each response with its verdict, and what became of the group.

import { h, link } from "../dom.js";
import { count, day, number, score, seconds } from "../format.js";
import { crumbs, neighbours, outcome, rated } from "../marks.js";
import { block, visible } from "../text.js";

export const group = {
  name: "group",
  route: /^group\/(\d+)$/,
  title: (params) => `Group ${params[0]}`,
  read: (params) => [`groups/${params[0]}`],
  near: (of) => ({
    previous: of.previous === null ? null : `group/${of.previous}`,
    next: of.next === null ? null : `group/${of.next}`,
    up: of.outcome === "trained" ? `step/${of.closed_version}` : "",
  }),
  draw(of) {
    const counted = first(of.verdicts.filter((one) => !one.shadow));
    const missing = of.samples - counted.length;
    return [
      crumbs(link("", "Overview"), of.outcome === "trained" ? link(`step/${of.closed_version}`, `Step ${of.closed_version}`) : "No step", `Group ${of.seq}`),
      h("div", { class: "top" }, h("h1", null, `Group ${of.seq} `, outcome(of)), neighbours(this.near(of), "group")),
      asked(of),
      h("h2", null, `${count(counted.length, "response")}${missing ? `, ${missing} without a verdict` : ""}`, of.spread === null ? null : h("span", { class: "aside" }, `spread ${number(of.spread, 3)}`)),
      h("ol", { class: "cards" }, counted.map((one) => card(of, one))),
    ];
  },
};

// The rows of `asked` are the same for a group and for each of its rollouts.
export function asked(of) {
  const what = [of.purpose, of.label].filter(Boolean).join(" ");
  const closed = of.closed_at ? ` after ${seconds((new Date(of.closed_at) - new Date(of.dispatched_at)) / 1000)}` : "";
  return h(
    "dl",
    { class: "facts" },
    fact("Prompt", block(of.prompt, "Prompt", 1200)),
    fact("Expected", h("div", { class: "said" }, visible(of.expected))),
    fact("Rule", h("span", null, visible(of.rule))),
    fact("Dispatched", `${day(of.dispatched_at)} at version ${of.dispatched_version}: ${what} group of ${of.samples}, ${of.domain}`),
    fact("Why chosen", h("span", null, visible(of.why_dispatched), " ", link(`prompt/${of.prompt_id}`, "this prompt over the versions"))),
    fact("Ended", h("span", null, `${of.outcome || "open"}${closed}: `, visible(of.means))),
  );
}

export function fact(name, ...value) {
  return [h("dt", null, name), h("dd", null, ...value)];
}

export function first(verdicts) {
  const seen = new Map();
  for (const one of verdicts) if (!seen.has(one.index)) seen.set(one.index, one);
  return [...seen.values()].sort((a, b) => a.index - b.index);
}

function card(of, one) {
  return h(
    "li",
    { class: "card", "data-row": true },
    h("h3", null, link(`rollout/${of.seq}/${one.index}`, `Rollout ${one.index}`), rated(one.score)),
    block(one.text, `Response ${one.index}`, 900),
    h("p", { class: "verdict" }, one.answer === null ? null : ["read ", h("b", { class: "answer" }, visible(one.answer)), " · "], h("span", { class: `status ${one.status}` }, one.status), one.why ? [" · ", visible(one.why)] : null),
    h("p", { class: "quiet" }, `${one.scorer} · ${count(one.tokens, "token")}${one.tokens >= of.limit ? ", cut off" : ""} · version ${one.version}${one.judged === null ? "" : ` · the judge gave ${score(one.judged)}, the veto 0`}`),
  );
}
