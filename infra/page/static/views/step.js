// One step of the learner: its numbers, and the groups that it trained on.

import { h, link } from "../dom.js";
import { count, number, score, seconds, short } from "../format.js";
import { crumbs, neighbours, outcome, scores } from "../marks.js";
import { table } from "../table.js";

const NUMBERS = [
  ["reward", "mean reward"], ["policy_loss", "policy loss"], ["value_loss", "value loss"], ["entropy", "entropy"], ["kl", "KL to the reference"],
  ["policy_gradient_norm", "gradient norm"], ["clip_fraction", "clip fraction"], ["ratio", "mean ratio"], ["importance_weight", "mean importance weight"],
  ["importance_clip_fraction", "weights cut"], ["logprob_diff_mean", "engine against learner, nats"], ["explained_variance", "explained variance"],
  ["staleness_mean", "mean staleness"], ["staleness_max", "largest staleness"], ["response_tokens", "response tokens"], ["trajectories", "trajectories"],
];

export const step = {
  name: "step",
  route: /^step\/(\d+)$/,
  title: (params) => `Step ${params[0]}`,
  read: (params) => [`steps/${params[0]}`],
  near: (of) => ({ previous: of.previous === null ? null : `step/${of.previous}`, next: of.next === null ? null : `step/${of.next}`, up: "" }),
  draw(of) {
    return [
      crumbs(link("", "Overview"), `Step ${of.version}`),
      h("div", { class: "top" }, h("h1", null, `Step ${of.version}`), neighbours(this.near(of), "step")),
      of.numbers ? numbers(of.numbers) : h("p", { class: "quiet" }, "steps.jsonl has no line of this step."),
      h("h2", null, `Trained on ${count(of.trained.length, "group")}`),
      groups("Groups that the step trained on", of.trained, of.numbers),
      h("h2", null, `Closed otherwise at version ${of.version}`),
      groups("Groups that closed otherwise", of.others, null),
    ];
  },
};

function numbers(line) {
  const shown = NUMBERS.filter(([name]) => line[name] !== null && line[name] !== undefined);
  return h(
    "dl",
    { class: "numbers" },
    shown.map(([name, label]) => h("div", null, h("dt", null, label), h("dd", null, short(line[name])))),
    Object.entries(line.rewards).map(([domain, value]) => h("div", null, h("dt", null, `reward, ${domain}`), h("dd", null, score(value)))),
    Object.entries(line.seconds).map(([phase, value]) => h("div", null, h("dt", null, phase === "total" ? "time" : `time, ${phase}`), h("dd", null, seconds(value)))),
  );
}

export function groups(caption, rows) {
  return table(
    caption,
    [
      { head: "group", cell: (one) => link(`group/${one.seq}`, `group ${one.seq}`) },
      { head: "domain", cell: (one) => one.domain },
      { head: "prompt", wide: true, cell: (one) => link(`prompt/${one.prompt_id}`, one.prompt) },
      { head: "ended", cell: (one) => outcome(one) },
      { head: "staleness", numeric: true, cell: (one) => number(one.staleness) },
      { head: "mean", numeric: true, cell: (one) => score(one.mean) },
      { head: "scores", cell: (one) => scores(one.seq, one.scores) },
    ],
    rows,
  );
}
