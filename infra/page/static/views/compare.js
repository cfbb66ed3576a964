// This run beside another one: held-out scores, settings that differ, and the prompts that both answered.

import { h, link } from "../dom.js";
import { DASH, count, day, number, score } from "../format.js";
import { crumbs, rated } from "../marks.js";
import { table } from "../table.js";
import { visible } from "../text.js";

const signed = (value) => (value === null ? DASH : `${value > 0 ? "+" : ""}${number(value, 3)}`);

export const compare = {
  name: "compare",
  menu: "Compare",
  served: true,
  route: /^compare$/,
  title: () => "Compare",
  read: () => ["compare"],
  draw(of) {
    return [
      h("h1", null, "Compare ", h("span", { class: "aside" }, `run ${of.run_id} with another of its database`)),
      table("Other runs", runs(), of.runs, "The database of this run has no other run."),
    ];
  },
};

function runs() {
  return [
    { head: "run", cell: (one) => link(`compare/${one.run_id}`, one.run_id) },
    { head: "begun", cell: (one) => day(one.created_at) },
    { head: "phase", cell: (one) => one.phase.replaceAll("_", " ") },
    { head: "held-out score", numeric: true, cell: (one) => (one.heldout === null ? DASH : `${number(one.heldout, 3)} at version ${one.version}`) },
    { head: "recipe", cell: (one) => h("span", null, visible(one.recipe || DASH)) },
    { head: "model", wide: true, cell: (one) => h("span", { class: "quiet" }, visible(one.model)) },
  ];
}

export const comparison = {
  name: "comparison",
  route: /^compare\/([A-Za-z0-9_.:-]+)$/,
  title: (params) => `Compared with ${params[0]}`,
  read: (params) => [`compare/${params[0]}`],
  near: () => ({ up: "compare" }),
  draw(of) {
    const scorersDiffer = of.ours.scorers.join() !== of.theirs.scorers.join();
    const shared = of.domains.find((one) => one.domain === "overall")?.shared || 0;
    return [
      crumbs(link("", "Overview"), link("compare", "Compare"), of.theirs.run_id),
      h("h1", null, "Compared with ", of.theirs.run_id),
      h("p", null, side("This run", of.ours), "; ", side("the other", of.theirs), "."),
      shared && scorersDiffer ? h("p", { class: "health attention" }, h("b", null, "Other scorers"), ` The scores are not of the same scorers: ${of.ours.scorers.join(", ") || "none"}; ${of.theirs.scorers.join(", ") || "none"}.`) : null,
      h("h2", null, "Held-out score by domain"),
      table("Held-out score by domain", domains(), of.domains, "Neither run was measured on held-out prompts."),
      h("p", { class: "quiet" }, shared ? `The difference is taken within each of ${count(shared, "shared prompt")}; its 95 % interval is over prompts and does not cover the choice of a training seed.` : "The runs answered no held-out prompt in common, so there is no paired difference."),
      shared ? prompts("Prompts on which this run is better", of.better) : null,
      shared ? prompts("Prompts on which the other is better", of.worse) : null,
      shared ? h("p", { class: "quiet" }, `${count(of.equal, "prompt")} with equal scores.`) : null,
      h("h2", null, "Settings that differ ", h("span", { class: "aside" }, "without those of where a run is kept")),
      table("Settings that differ", settings(), of.settings, "None."),
    ];
  },
};

function side(name, of) {
  return of.label ? `${name} at version ${of.version} (measured ${of.label})` : `${name} was not measured`;
}

function domains() {
  const mean = (one) => (one === null ? DASH : h("span", null, rated(one.mean), " ", h("span", { class: "quiet" }, one.low === null ? "" : `${number(one.low, 3)} to ${number(one.high, 3)}`)));
  return [
    { head: "domain", cell: (one) => one.domain },
    { head: "this run", numeric: true, cell: (one) => mean(one.ours) },
    { head: "the other", numeric: true, cell: (one) => mean(one.theirs) },
    { head: "shared prompts", numeric: true, cell: (one) => number(one.shared) },
    { head: "paired difference", numeric: true, cell: (one) => h("b", null, signed(one.difference)) },
    { head: "95 % interval", numeric: true, cell: (one) => (one.low === null ? DASH : `${signed(one.low)} to ${signed(one.high)}`) },
    { head: "p", numeric: true, cell: (one) => (one.p === null ? DASH : one.p < 0.001 ? "< 0.001" : number(one.p, 3)) },
  ];
}

function prompts(name, rows) {
  const columns = [
    { head: "prompt", wide: true, cell: (one) => link(`prompt/${one.prompt_id}`, visible(one.prompt || "(empty)")) },
    { head: "domain", cell: (one) => one.domain },
    { head: "this run", numeric: true, cell: (one) => score(one.ours) },
    { head: "the other", numeric: true, cell: (one) => score(one.theirs) },
    { head: "difference", numeric: true, cell: (one) => signed(one.ours - one.theirs) },
  ];
  return [h("h2", null, name), table(name, columns, rows, "none")];
}

function settings() {
  const value = (one) => h("code", null, visible(one === null ? DASH : typeof one === "string" ? one : JSON.stringify(one)));
  return [
    { head: "setting", cell: (one) => h("code", null, visible(one.path)) },
    { head: "this run", wide: true, cell: (one) => value(one.ours) },
    { head: "the other", wide: true, cell: (one) => value(one.theirs) },
  ];
}
