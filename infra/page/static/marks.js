// Small marks that several views share: an outcome, a score, the scores of a group.

import { h, link } from "./dom.js";
import { DASH, score } from "./format.js";

export function outcome(of) {
  const name = of.outcome || "open";
  const reason = of.reason && of.reason !== name && of.reason !== "value_only" ? ` · ${of.reason.replaceAll("_", " ")}` : "";
  return h("span", { class: `pill ${name}` }, `${name}${reason}`);
}

export function rated(value) {
  if (value === null || value === undefined) return h("span", { class: "quiet" }, "no score");
  return h("span", { class: "rated" }, meter(value), score(value));
}

// A score from 0 to 1 as a bar; its number stands beside it.
export function meter(value) {
  const tenth = Math.round(Math.max(0, Math.min(1, value)) * 10);
  return h("span", { class: `meter m${tenth}`, "aria-hidden": "true" });
}

// The scores of a group, each a link to its rollout.
export function scores(seq, values) {
  if (!values.length) return DASH;
  return h(
    "span",
    { class: "scores" },
    values.map((value, index) => link(`rollout/${seq}/${index}`, h("span", { class: `cell ${band(value)}`, title: `rollout ${index}: ${score(value)}` }, score(value)))),
  );
}

export function band(value) {
  if (value === null || value === undefined) return "bnone";
  return value < 0.005 ? "b0" : value < 0.34 ? "b1" : value < 0.67 ? "b2" : value <= 0.995 ? "b3" : "b4";
}

export function crumbs(...parts) {
  return h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("ol", null, parts.map((part) => h("li", null, part))));
}

// Links to the neighbours of a step, a group or a rollout.
export function neighbours(near, what) {
  const one = (route, text, key) => (route ? link(route, text, h("kbd", { "aria-hidden": "true" }, key)) : h("span", { class: "quiet" }, text));
  return h("nav", { class: "near", "aria-label": `Neighbours of this ${what}` }, one(near.previous, `Previous ${what}`, "←"), one(near.next, `Next ${what}`, "→"));
}
