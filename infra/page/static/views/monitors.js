// The watch on the reward and on the policy: small curves, each with the line at which an advisory or alert speaks.

import { chart } from "../chart.js";
import { h, link } from "../dom.js";
import { number, short } from "../format.js";
import { table } from "../table.js";

export const monitors = {
  name: "monitors",
  menu: "Monitors",
  route: /^monitors$/,
  title: () => "Monitors",
  read: () => ["monitors"],
  draw(of) {
    return [
      h("h1", null, "Monitors ", h("span", { class: "aside" }, of.guard)),
      of.alarms.length
        ? [h("p", { class: "health bad" }, h("b", null, "Alarm"), " The reward of held-out responses rose, and the second scorer does not confirm it. Read responses of these versions."), table("Alarms of the guard", alarms(), of.alarms)]
        : h("p", { class: "health over" }, h("b", null, "No alarm"), " of the guard against reward hacking."),
      beyond([...of.hacking, ...of.policy].filter((one) => one.alarm)),
      h("h2", null, "Is the reward true?"),
      h("div", { class: "small" }, of.hacking.map(panel)),
      h("h2", null, "Is the policy healthy?"),
      h("div", { class: "small" }, of.policy.map(panel)),
    ];
  },
};

function beyond(panels) {
  if (!panels.length) return null;
  return h("p", { class: "health attention" }, h("b", null, "Beyond their lines:"), " ", panels.map((one) => one.title).join("; "), ".");
}

function panel(one) {
  const byVersion = !one.unit.includes("by minute");
  const route = (x) => (byVersion && x > 0 ? `step/${x}` : null);
  const series = one.curves.map((curve, colour) => ({ name: curve.name, colour, points: curve.points.map(({ x, y }) => ({ x, y, route: route(x) })) }));
  const limit = one.limit === null ? null : { y: one.limit, name: `${one.speaks}: ${short(one.limit)}` };
  return h(
    "div",
    { class: "panel" },
    chart({ title: one.title, unit: one.unit, series, xName: byVersion ? "version" : "minute", from: 0, height: 150, format: short, limit }),
    note(one),
  );
}

function note(one) {
  if (!one.curves.length) return h("p", { class: "note" }, `Not measured: ${one.lacks}.`);
  const line = one.limit === null ? one.speaks && `Alert: ${one.speaks}.` : `Line: ${one.speaks} at ${short(one.limit)}.`;
  const beyond = one.limit === null ? "Alarm. " : "Beyond the line. ";
  return h("p", { class: "note" }, one.alarm ? h("b", { class: "late" }, beyond) : null, `Healthy: ${one.healthy}. `, line);
}

function alarms() {
  return [
    { head: "domain", cell: (one) => one.domain },
    { head: "route", cell: (one) => one.route },
    { head: "at version", numeric: true, cell: (one) => link(`rollouts?purpose=eval&version=${one.version}`, number(one.version)) },
    { head: "since version", numeric: true, cell: (one) => number(one.since_version) },
    { head: "reward changed by", numeric: true, cell: (one) => number(one.reward_change, 3) },
    { head: "true score changed by", numeric: true, cell: (one) => number(one.true_change, 3) },
  ];
}
