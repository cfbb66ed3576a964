// Keys: j and k move over the rows of a view, the arrows to the previous and next step, group or rollout.

import { h } from "./dom.js";
import { go } from "./router.js";

const KEYS = [
  ["j, k", "next, previous row"],
  ["Enter", "open it"],
  ["→, ←", "next, previous step, group or rollout"],
  ["u", "up: from a rollout to its group, from a group to its step"],
  ["o", "start page"],
  ["r", "table of rollouts"],
  ["/", "search in the table of rollouts"],
  ["?", "these keys"],
];

// `neighbours()` returns the routes {previous, next, up} of the current view.
export function listen(neighbours) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const near = neighbours();
    const moves = { ArrowRight: near.next, ArrowLeft: near.previous, u: near.up, o: "", r: "rollouts" };
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === "?") showKeys();
    else if (event.key === "/" && document.querySelector("[data-search]")) document.querySelector("[data-search]").focus();
    else if (event.key in moves && moves[event.key] !== undefined && moves[event.key] !== null && !event.defaultPrevented) {
      go(moves[event.key]);
    } else return;
    event.preventDefault();
  });
}

function isTyping(element) {
  return element instanceof HTMLElement && element.matches("input, select, textarea");
}

function step(by) {
  const rows = [...document.querySelectorAll("main [data-row]")].filter((row) => row.querySelector("a") && row.checkVisibility());
  const links = rows.map((row) => row.querySelector("a"));
  if (!links.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
}

export function showKeys() {
  const dialog = document.getElementById("keys");
  dialog.replaceChildren(
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", { class: "facts" }, KEYS.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
    h("form", { method: "dialog" }, h("button", null, "Close")),
  );
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.showModal();
}
