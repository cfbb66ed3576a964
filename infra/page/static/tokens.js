// The tokens of a rollout as a strip: the darker, the more surprising; what carries no loss is dimmed.

import { h } from "./dom.js";
import { number } from "./format.js";
import { visible } from "./text.js";

const MOST = 3000; // tokens that are drawn before somebody asks for all of them

export function strip(of) {
  const tokens = of.runs.flatMap((run) => run.ids.map((id, place) => ({ run, id, text: run.texts[place], logprob: run.logprobs[place] })));
  const detail = h("p", { class: "token-detail", "aria-live": "polite" }, "Choose a token with the mouse or the arrow keys.");
  const body = h("div", { class: "tokens", tabindex: 0, role: "listbox", "aria-label": "Tokens" });
  const spans = [];
  let chosen = -1;
  const choose = (place) => {
    spans[chosen]?.setAttribute("aria-selected", "false");
    chosen = Math.max(0, Math.min(spans.length - 1, place));
    spans[chosen].setAttribute("aria-selected", "true");
    body.setAttribute("aria-activedescendant", spans[chosen].id);
    spans[chosen].scrollIntoView({ block: "nearest" });
    detail.replaceChildren(...[describe(tokens[chosen], chosen)].flat());
  };
  const draw = (most) => {
    spans.splice(0, spans.length, ...tokens.slice(0, most).map((token, place) => span(token, place)));
    body.replaceChildren(...spans);
  };
  draw(MOST);
  body.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: spans.length - 1 };
    if (!(event.key in moves)) return;
    choose(moves[event.key]);
    event.preventDefault();
    event.stopPropagation();
  });
  body.addEventListener("click", (event) => {
    const at = spans.indexOf(event.target.closest(".token"));
    if (at >= 0) choose(at);
  });
  const more = tokens.length > MOST ? h("button", { type: "button", class: "more" }, `Show all ${number(tokens.length)} tokens`) : null;
  more?.addEventListener("click", () => (draw(tokens.length), more.remove()));
  return h("div", null, key(), body, more, detail, of.masked_why ? h("p", { class: "quiet" }, `Masked: ${of.masked_why}.`) : null);
}

function span(token, place) {
  const { run, text, logprob } = token;
  const shade = logprob === undefined ? "" : ` s${Math.min(6, Math.floor(-logprob * 1.5))}`;
  const shown = text === undefined ? [`${token.id}`] : text === "" ? ["·"] : visible(text.replaceAll("\n", "↵\n"));
  const label = `${run.source}${run.masked ? ", masked" : ""}`;
  return h("span", { id: `token-${place}`, class: `token ${run.source}${run.masked ? " masked" : ""}${shade}`, role: "option", "aria-selected": "false", "aria-description": label }, shown);
}

function describe(token, place) {
  const { run, logprob } = token;
  const made = run.version === null ? `made by the ${run.source}` : `made by policy version ${run.version}`;
  const chance = logprob === undefined ? "no log-probability" : `log-probability ${number(logprob, 3)} nats (p = ${number(Math.exp(logprob), 3)})`;
  return ["token ", h("b", null, number(place)), ` · id ${token.id} · `, h("b", null, chance), ` · ${made} · ${run.masked ? "masked: no loss" : "carries loss"}`];
}

function key() {
  return h(
    "p",
    { class: "token-key" },
    h("span", { class: "token s0" }, "expected"),
    h("span", { class: "token s2" }, "unlikely"),
    h("span", { class: "token s5" }, "surprising"),
    h("span", { class: "token masked" }, "masked: prompt, or no loss"),
  );
}
