// Where the data comes from: the server that served the page, or the scripts of an export.

import { filtered } from "./filter.js";

const PACKED_GROUPS = 16; // as infra/page/serving/export.py packs them
const PACKED_STEPS = 64;

export const EXPORTED = "rewardstreamPacks" in globalThis;

// The JSON of a path, as text.
export async function read(path, query = {}) {
  return EXPORTED ? readPack(path, query) : readServer(path, query);
}

async function readServer(path, query) {
  const search = new URLSearchParams(query).toString();
  const answer = await fetch(`api/${path}.json${search ? `?${search}` : ""}`, { cache: "no-store" });
  const text = await answer.text();
  if (!answer.ok) throw new Error(reason(text, answer.status));
  return text;
}

function reason(text, status) {
  try {
    return JSON.parse(text).error;
  } catch {
    return `the server answered ${status}`;
  }
}

async function readPack(path, query) {
  const packs = globalThis.rewardstreamPacks;
  const name = packOf(path);
  if (!(name in packs)) await load(`data/${name}.js`).catch(() => null);
  const value = packs[name]?.[path];
  if (value === undefined) throw new Error(`this copy does not have it: it holds the newest ${packs.run.rollouts.groups} groups of the run`);
  return JSON.stringify(path === "rollouts" ? filtered(value.rows, query, packs.run.trend.domains) : value);
}

function packOf(path) {
  const [kind, id] = path.split("/");
  if (kind === "steps") return `steps-${Math.floor(Number(id) / PACKED_STEPS)}`;
  if (kind === "prompts") return `prompts-${id.slice(0, 2)}`;
  return id === undefined ? "run" : `groups-${Math.floor(Number(id) / PACKED_GROUPS)}`;
}

function load(src) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = src;
    script.addEventListener("load", done);
    script.addEventListener("error", failed);
    document.head.append(script);
  });
}
