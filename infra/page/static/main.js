// The frame: finds the view of the address, reads its JSON, draws it, and reads it again while the run goes on.

import { h, link } from "./dom.js";
import { clock, day } from "./format.js";
import { listen, showKeys } from "./keys.js";
import { current } from "./router.js";
import { EXPORTED, read } from "./source.js";
import { VIEWS } from "./views.js";

const LIVE_SECONDS = 3; // the server looks at the processes every 2 s, and a step takes seconds: sooner shows nothing new
const SLOWEST_SECONDS = 30; // what a view that does not change, or a server that is away, is asked at last
const MORE = 1.5; // each answer without news makes the next wait longer by this factor

const state = { texts: [], near: {}, timer: 0, wait: LIVE_SECONDS, live: true, turn: 0, address: null };

function find(path) {
  for (const view of VIEWS) {
    const found = view.route.exec(path);
    if (found) return [view, found.slice(1)];
  }
  return [null, []];
}

async function show(again) {
  const turn = ++state.turn;
  clearTimeout(state.timer);
  const place = current();
  const [view, params] = find(place.path);
  if (!view) return fail(`There is no view “${place.path}”.`);
  const wanted = view.read(params, place.query).map((one) => (Array.isArray(one) ? one : [one, {}]));
  let texts;
  try {
    const [head, ...rest] = await Promise.all([read("overview"), ...wanted.filter(([path]) => path !== "overview").map(([path, query]) => read(path, query))]);
    texts = wanted.map(([path]) => (path === "overview" ? head : rest.shift()));
    if (turn !== state.turn) return;
    header(JSON.parse(head), view);
    trouble("");
  } catch (error) {
    if (turn !== state.turn) return;
    if (again || state.texts.length) trouble(`No answer since ${state.seen || "the start"}: ${error.message}`);
    if (!again) fail(error.message);
    state.wait = Math.min(SLOWEST_SECONDS, state.wait * 2);
    return schedule();
  }
  state.seen = clock(Date.now() / 1000);
  const told = texts.map((text) => text.replace(/"read_at":[\d.]+/, "")); // that time has passed is no news
  const news = !again || told.some((text, index) => text !== state.texts[index]);
  state.wait = news ? LIVE_SECONDS : Math.min(SLOWEST_SECONDS, state.wait * MORE);
  state.texts = told;
  if (news) draw(view, params, place, texts.map((text) => JSON.parse(text)), again);
  schedule();
}

function draw(view, params, place, data, again) {
  const main = document.getElementById("main");
  const kept = again ? remember(main) : null;
  main.replaceChildren(...view.draw(...data, { params, query: place.query }).flat(Infinity).filter(Boolean));
  main.dataset.view = view.name;
  state.near = view.near ? view.near(data[0]) : {};
  document.title = `${view.title(params)} · Rewardstream`;
  if (kept) recall(main, kept);
  else if (state.address !== null && state.address !== location.hash) arrive(main);
  state.address = location.hash;
}

// A new view is read from its top: the heading is what a screen reader says first.
function arrive(main) {
  scrollTo(0, 0);
  const heading = main.querySelector("h1") || main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

// What the reader had opened and where the focus was, so that news do not take it away.
function remember(main) {
  const open = [...main.querySelectorAll("details[open][data-key]")].map((one) => one.dataset.key);
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  return { open, key: focused && keyOf(focused), place: focused && alike(main, keyOf(focused)).indexOf(focused) };
}

const FOCUSABLE = "a, button, input, select, summary, [tabindex]";

// What tells an element from most others, before and after it is drawn anew.
function keyOf(element) {
  return element.getAttribute("href") || element.id || element.getAttribute("name") || element.getAttribute("aria-label") || element.textContent;
}

function alike(main, key) {
  return [...main.querySelectorAll(FOCUSABLE)].filter((one) => keyOf(one) === key);
}

function recall(main, { open, key, place }) {
  for (const one of main.querySelectorAll("details[data-key]")) one.open = open.includes(one.dataset.key);
  if (key) alike(main, key)[place]?.focus({ preventScroll: true });
}

function schedule() {
  clearTimeout(state.timer);
  if (EXPORTED) return;
  const wait = state.live ? state.wait : SLOWEST_SECONDS;
  if (!document.hidden) state.timer = setTimeout(() => show(true), wait * 1000);
}

function header(overview, view) {
  state.live = overview.live;
  document.getElementById("run").textContent = overview.run_id;
  const pulse = document.getElementById("pulse");
  const level = overview.health.level;
  pulse.className = `pulse ${level}`;
  const text = overview.live ? `${overview.phase_words}, version ${overview.version}` : overview.health.word.toLowerCase();
  if (pulse.textContent !== text) pulse.textContent = text;
  const nav = document.getElementById("nav");
  if (!nav.children.length) nav.append(...VIEWS.filter((one) => one.menu && !(EXPORTED && one.served)).map((one) => h("a", { href: `#/${one.route.source.replace(/[\^$]/g, "")}`, "data-view": one.name }, one.menu)));
  for (const one of nav.children) one.toggleAttribute("aria-current", one.dataset.view === view.name);
  const foot = document.getElementById("foot");
  const button = h("button", { type: "button", onclick: showKeys }, "Keys ", h("kbd", null, "?"));
  foot.replaceChildren(h("span", null, EXPORTED ? `a copy of ${day(overview.read_at * 1000)}` : `read ${clock(overview.read_at)} · ${overview.broker}`), button);
}

function trouble(text) {
  const banner = document.getElementById("trouble");
  banner.hidden = !text;
  banner.textContent = text;
}

function fail(text) {
  document.getElementById("main").replaceChildren(h("h1", null, "Nothing to show"), h("p", null, text), h("p", null, link("", "To the start page")));
  state.texts = [];
}

addEventListener("hashchange", () => location.hash === "#main" || show(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
document.addEventListener("visibilitychange", () => document.hidden || EXPORTED || show(true));
listen(() => state.near);
show(false);
