// The loop as a picture: processes and topics, with rate, lag and staleness on each.

import { h, s } from "./dom.js";
import { bytes, number, seconds, short } from "./format.js";
import { table } from "./table.js";

const PARTS = {
  selector: { x: 20, y: 56, w: 160, title: "selector" },
  rollout: { x: 300, y: 56, w: 170, title: "rollout workers" },
  router: { x: 590, y: 56, w: 130, title: "router" },
  rtv: { x: 852, y: 8, w: 138, title: "rtv" },
  genrm: { x: 852, y: 112, w: 138, title: "genrm" },
  learner: { x: 300, y: 236, w: 170, title: "learner" },
  difficulty: { x: 590, y: 330, w: 150, title: "difficulty" },
  crosscheck: { x: 790, y: 330, w: 150, title: "crosscheck" },
};
const TOPICS = {
  prompts: { x: 240, y: 84 },
  rollouts: { x: 530, y: 84 },
  "rtv.requests": { x: 768, y: 40, above: true },
  "genrm.requests": { x: 768, y: 144 },
  scored: { x: 690, y: 264, above: true },
  "policy.versions": { x: 385, y: 176 },
  "groups.closed": { x: 166, y: 264 },
  "dead-letters": { x: 385, y: 392 },
};
const ARROWS = [
  "M180 84H297", "M470 84H587", "M655 52V40H849", "M655 117V144H849", "M990 40H1006V264H473",
  "M385 231V120", "M300 264H100V120", "M660 264V327", "M860 264V327", "M590 358H60V120",
];
const HEIGHT = 65;

export function picture(loop) {
  const svg = s(
    "svg",
    { class: "loop", viewBox: "0 0 1020 430", role: "img", "aria-label": `The loop, with rates and lag: ${spoken(loop)}` },
    s("defs", null, s("marker", { id: "head", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 6, markerHeight: 6, orient: "auto" }, s("path", { d: "M0 0L10 5L0 10z", class: "head" }))),
    ARROWS.map((d) => s("path", { class: "arrow", d, "marker-end": "url(#head)" })),
    s("path", { class: "arrow", d: "M990 144H1006" }),
    s("text", { class: "what", x: 330, y: 352, "text-anchor": "middle" }, "Postgres: statistics"),
    Object.entries(TOPICS).map(([name, place]) => topic(loop.topics.find((one) => one.name === name), place, loop)),
    Object.entries(PARTS).map(([name, place]) => part(loop.parts.find((one) => one.name === name), place, loop)),
  );
  return h("div", { class: "picture" }, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Picture of the loop" }, svg), details(loop));
}

function part(one, place, loop) {
  const state = loop.live ? one.state : "stopped";
  const middle = place.x + place.w / 2;
  return s(
    "g",
    { class: `part ${state}` },
    s("rect", { x: place.x, y: place.y - 4, width: place.w, height: HEIGHT, rx: 8 }),
    s("circle", { class: "lamp", cx: place.x + 13, cy: place.y + 12, r: 4 }),
    s("text", { class: "name", x: middle, y: place.y + (loop.live ? 15 : 24) }, place.title),
    lines(loop.live ? one.does || state : "not running", place.w).map((text, row) => s("text", { class: "what", x: middle, y: place.y + (loop.live ? 29 : 40) + 12 * row }, text)),
    s("text", { class: "num", x: middle, y: place.y + 55 }, loop.live ? stale(one) : ""),
    s("title", null, `${place.title}: ${state}${one.does ? `, ${one.does}` : ""}${one.restarts ? `, ${one.restarts} restarts` : ""}`),
  );
}

function stale(one) {
  if (one.versions_behind !== null) return one.versions_behind ? `${one.versions_behind} behind the learner` : "newest version";
  return one.oldest_seconds === null ? "" : one.oldest_seconds < 0.05 ? "nothing waits" : `oldest ${seconds(one.oldest_seconds)}`;
}

function topic(one, place, loop) {
  const width = Math.max(74, one.name.length * 7.3 + 22);
  const first = one.readers[0];
  const lag = one.readers.map((reader) => reader.lag).filter((value) => value !== null);
  const dead = one.name === "dead-letters" && loop.dead_letters > 0;
  const below = one.name === "dead-letters" ? `${number(loop.dead_letters)} records` : !loop.live || !first ? "" : `${short(first.rate)}/s${lag.length ? ` · lag ${number(Math.max(...lag))}` : ""}`;
  return s(
    "g",
    { class: `topic${dead ? " bad" : ""}` },
    s("rect", { x: place.x - width / 2, y: place.y - 13, width, height: 26, rx: 13 }),
    s("text", { x: place.x, y: place.y + 4 }, one.name),
    s("text", { class: "num", x: place.x, y: place.y + (place.above ? -19 : 27) }, below),
  );
}

// At most two lines, broken where the words are a list.
function lines(text, width) {
  const most = Math.floor((width - 8) / 5.9);
  if (text.length <= most) return [text];
  const [first, ...rest] = text.split(", ");
  return [first, rest.join(", ")].filter(Boolean).map((line) => (line.length <= most ? line : `${line.slice(0, most - 1)}…`));
}

function spoken(loop) {
  const broken = loop.parts.filter((one) => !["running", "stopped", "unknown"].includes(one.state)).map((one) => `${one.name} is ${one.state}`);
  return loop.live ? broken.join(", ") || "all parts are running" : "not running";
}

function details(loop) {
  const parts = table(
    "Parts of the loop",
    [
      { head: "part", cell: (one) => one.name },
      { head: "state", cell: (one) => (loop.live ? one.state : "stopped") },
      { head: "does", cell: (one) => one.does, wide: true },
      { head: "oldest record", numeric: true, cell: (one) => seconds(one.oldest_seconds) },
      { head: "cores", numeric: true, cell: (one) => number(one.cpu_cores, 2) },
      { head: "memory", numeric: true, cell: (one) => bytes(one.memory_bytes) },
      { head: "restarts", numeric: true, cell: (one) => number(one.restarts) },
    ],
    loop.parts,
  );
  const rows = loop.topics.flatMap((one) => one.readers.map((reader) => ({ topic: one.name, ...reader })));
  const topics = table(
    "Topics of the loop",
    [
      { head: "topic", cell: (one) => one.topic },
      { head: "read by", cell: (one) => one.stage },
      { head: "records/s", numeric: true, cell: (one) => number(one.rate, 1) },
      { head: "lag", numeric: true, cell: (one) => number(one.lag) },
    ],
    rows,
    "no process reads a topic",
  );
  return h("details", { "data-key": "loop as tables" }, h("summary", null, "as tables"), parts, topics);
}
