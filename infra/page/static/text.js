// Shows text that a model or a dataset wrote. Invariant: it stays text; characters that nobody would see, or that
// change the order of others, are shown by their code point; what is long is cut until somebody asks for all of it.

import { h } from "./dom.js";
import { number } from "./format.js";

const CUT = 4000; // characters: a screenful
const MOST_MARKS = 2000; // spans of hidden characters; beyond, they are written as plain text
const HIDDEN = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff])\1*/gu;

// The children of an element that shows the text.
export function visible(text) {
  const parts = [];
  let last = 0;
  let marks = 0;
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > last) parts.push(text.slice(last, found.index));
    const name = named(found[0], found[1]);
    parts.push(marks < MOST_MARKS ? h("span", { class: "hidden-char", title: "a character that is not visible" }, name) : name);
    marks += 1;
    last = found.index + found[0].length;
  }
  if (last < text.length) parts.push(text.slice(last));
  return marks < MOST_MARKS ? parts : parts.map((part) => (typeof part === "string" ? part : part.textContent)).join("");
}

function named(run, one) {
  const code = `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  const times = run.length / one.length;
  return times > 1 ? `${code}×${times}` : code;
}

// A block of text, cut with a button that shows the rest. `label` names it for a screen reader.
export function block(text, label, cut = CUT) {
  if (text === null || text === undefined) return h("p", { class: "quiet" }, "not kept in the database");
  const whole = text.length <= cut;
  const body = h("div", { class: "said", role: "group", "aria-label": label, dir: "auto" });
  body.append(...[visible(whole ? text : text.slice(0, cut))].flat());
  if (text === "") body.append(h("span", { class: "quiet" }, "(empty)"));
  if (whole) return body;
  const button = h("button", { type: "button", class: "more" }, `Show all ${number(text.length)} characters`);
  button.addEventListener("click", () => {
    body.replaceChildren(...[visible(text)].flat());
    button.remove();
    body.tabIndex = -1;
    body.focus();
  });
  return h("div", null, body, button);
}
