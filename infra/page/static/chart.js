// A line chart that a mouse, a keyboard and a screen reader can read: the arrows move over its points, Enter opens the
// step of a point, and the same numbers are a table below it.

import { h, s } from "./dom.js";
import { mean, number, short } from "./format.js";
import { go } from "./router.js";
import { table } from "./table.js";

const HEIGHT = 210;
const PAD = { top: 10, right: 14, bottom: 26, left: 42 };

// series: [{name, colour, points: [{x, y, low, high, route}]}]; low and high are the ends of an interval, or absent.
// `limit`: {y, name}, a line across the chart, or null.
// `smooth`: the line is the mean of so many points, and the points themselves are faint.
export function chart({ title, unit, series, xName = "version", from, to, format = short, height = HEIGHT, smooth = 1, limit = null }) {
  const drawn = series.filter((one) => one.points.some((point) => point.y !== null && point.y !== undefined));
  const id = `chart-${title.replace(/\W+/g, "-")}`;
  const readout = h("span", { class: "readout", id: `${id}-at`, "aria-live": "polite" });
  const values = new Map(drawn.map((one) => [one.name, h("span", { class: "value" })]));
  const legend = h("ul", { class: "legend" }, drawn.map((one) => h("li", null, h("span", { class: `swatch c${one.colour}`, "aria-hidden": "true" }), one.name, values.get(one.name))));
  const canvas = h("div", { class: "canvas", id: `${id}-canvas` });
  const figure = h("figure", { class: "chart" }, h("figcaption", null, h("span", { class: "title" }, title), unit ? h("span", { class: "unit" }, unit) : null, readout), drawn.length > 1 || values.size ? legend : null, canvas, drawn.length ? asTable(title, xName, drawn, format) : null);
  if (!drawn.length) {
    canvas.append(h("p", { class: "quiet" }, "nothing measured yet"));
    return figure;
  }
  const xs = [...new Set(drawn.flatMap((one) => one.points.map((point) => point.x)))].sort((a, b) => a - b);
  const state = { at: null };
  const show = (x) => {
    state.at = x;
    readout.textContent = x === null ? "" : `${xName} ${x}`;
    for (const one of drawn) {
      const points = one.points.filter((point) => point.y !== null && point.y !== undefined);
      const point = x === null ? points.at(-1) : points.find((each) => each.x === x);
      values.get(one.name).textContent = point ? format(point.y) : "";
    }
  };
  show(null);
  const name = `${title}: ${summary(drawn, format)}. Arrow keys move over the points.`;
  for (const [key, value] of Object.entries({ tabindex: 0, role: "img", "aria-label": name, "aria-describedby": `${id}-at` })) canvas.setAttribute(key, value);
  let mark = show;
  const draw = (width) => {
    const made = picture({ drawn, xs, width, height, from, to, smooth, limit, state, show });
    mark = made.mark;
    canvas.replaceChildren(made.root);
  };
  const open = () => {
    const route = drawn.flatMap((one) => one.points).find((point) => point.x === state.at && point.route)?.route;
    if (route) go(route);
  };
  canvas.addEventListener("click", open);
  canvas.addEventListener("focus", () => state.at ?? mark(xs.at(-1)));
  canvas.addEventListener("blur", () => mark(null));
  canvas.addEventListener("pointerleave", () => document.activeElement === canvas || mark(null));
  canvas.addEventListener("keydown", (event) => {
    const here = xs.indexOf(state.at);
    const moves = { ArrowLeft: Math.max(0, here - 1), ArrowRight: Math.min(xs.length - 1, here + 1), Home: 0, End: xs.length - 1 };
    if (event.key === "Enter") open();
    else if (event.key in moves) mark(xs[moves[event.key]]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width > 0 && width !== Number(canvas.dataset.width)) {
      canvas.dataset.width = width;
      draw(width);
    }
  }).observe(canvas);
  return figure;
}

function picture({ drawn, xs, width, height, from, to, smooth, limit, state, show }) {
  const all = drawn.flatMap((one) => one.points.flatMap((point) => [point.y, point.low, point.high])).filter((value) => value !== null && value !== undefined);
  const ticks = niceTicks(Math.min(...all, limit?.y ?? Infinity, from ?? Infinity), Math.max(...all, limit?.y ?? -Infinity, to ?? -Infinity));
  const [low, high] = [ticks[0], ticks.at(-1)];
  const digits = Math.max(0, ...ticks.map((tick) => (String(tick).split(".")[1] || "").length));
  const span = xs.at(-1) - xs[0] || 1;
  const px = (x) => PAD.left + ((x - xs[0]) / span) * (width - PAD.left - PAD.right);
  const py = (y) => PAD.top + (1 - (y - low) / (high - low || 1)) * (height - PAD.top - PAD.bottom);
  const rule = s("line", { class: "rule", y1: PAD.top, y2: height - PAD.bottom, visibility: "hidden" });
  const dots = s("g", { class: "dots" });
  const root = s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    ticks.map((tick) => [s("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: py(tick), y2: py(tick) }), s("text", { class: "tick", x: PAD.left - 7, y: py(tick) + 4, "text-anchor": "end" }, digits > 4 ? short(tick) : number(tick, digits))]),
    xTicks(xs, width).map((x) => s("text", { class: "tick", x: px(x), y: height - 8, "text-anchor": "middle" }, String(x))),
    limit ? s("line", { class: "limit", x1: PAD.left, x2: width - PAD.right, y1: py(limit.y), y2: py(limit.y) }, s("title", null, limit.name)) : null,
    drawn.map((one) => line(one, px, py, smooth)),
    rule,
    dots,
  );
  const mark = (x) => {
    show(x);
    rule.setAttribute("visibility", x === null ? "hidden" : "visible");
    dots.replaceChildren();
    if (x === null) return;
    rule.setAttribute("x1", px(x));
    rule.setAttribute("x2", px(x));
    for (const one of drawn) {
      const point = one.points.find((each) => each.x === x && each.y !== null && each.y !== undefined);
      if (point) dots.append(s("circle", { class: `dot c${one.colour}`, cx: px(x), cy: py(point.y), r: 4 }));
    }
  };
  root.addEventListener("pointermove", (event) => {
    const at = event.offsetX;
    mark(xs.reduce((best, x) => (Math.abs(px(x) - at) < Math.abs(px(best) - at) ? x : best), xs[0]));
  });
  if (state.at !== null) mark(state.at);
  return { root, mark };
}

function line(one, px, py, smooth) {
  const known = one.points.filter((point) => point.y !== null && point.y !== undefined);
  const band = known.filter((point) => point.low !== null && point.low !== undefined);
  const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const area = band.length > 1 ? path([...band.map((p) => [px(p.x), py(p.low)]), ...band.toReversed().map((p) => [px(p.x), py(p.high)])]) : null;
  return s(
    "g",
    { class: `series c${one.colour}` },
    area ? s("path", { class: "band", d: `${area}Z` }) : null,
    smooth > 1 ? s("path", { class: "faint", d: path(known.map((p) => [px(p.x), py(p.y)])) }) : null,
    s("path", { class: "line", d: path(known.map((p, at) => [px(p.x), py(smoothed(known, at, smooth))])) }),
    known.length < 40 && smooth === 1 ? known.map((p) => s("circle", { class: "point", cx: px(p.x).toFixed(1), cy: py(p.y).toFixed(1), r: 2.2 })) : null,
  );
}

function smoothed(points, at, smooth) {
  return mean(points.slice(Math.max(0, at - smooth + 1), at + 1).map((point) => point.y));
}

function niceTicks(low, high) {
  if (low === high) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1];
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw * 0.99);
  const ticks = [];
  for (let tick = Math.floor(low / size + 1e-9) * size; tick < high + size * (1 - 1e-9); tick += size) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

function xTicks(xs, width) {
  const most = Math.max(2, Math.floor(width / 80));
  if (xs.length <= most) return xs;
  const span = xs.at(-1) - xs[0];
  const size = niceTicks(0, span)[1];
  const chosen = [];
  for (let x = Math.ceil(xs[0] / size) * size; x <= xs.at(-1); x += size) chosen.push(x);
  return chosen;
}

function summary(drawn, format) {
  return drawn.map((one) => {
    const known = one.points.filter((point) => point.y !== null && point.y !== undefined);
    return `${one.name} from ${format(known[0].y)} to ${format(known.at(-1).y)}`;
  }).join(", ");
}

function asTable(title, xName, drawn, format) {
  const details = h("details", { "data-key": `table of ${title}` }, h("summary", null, "as a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const routes = new Map(drawn.flatMap((one) => one.points.filter((p) => p.route).map((p) => [p.x, p.route])));
    const rows = [...new Set(drawn.flatMap((one) => one.points.map((p) => p.x)))].sort((a, b) => a - b);
    const cell = (one) => (x) => {
      const point = one.points.find((each) => each.x === x);
      return point ? format(point.y) : "";
    };
    const first = { head: xName, numeric: true, cell: (x) => (routes.has(x) ? h("a", { href: `#/${routes.get(x)}` }, String(x)) : String(x)) };
    details.append(table(title, [first, ...drawn.map((one) => ({ head: one.name, numeric: true, cell: cell(one) }))], rows));
  });
  return details;
}
