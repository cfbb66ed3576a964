// Numbers, times and words as people read them. What is not known is a dash.

export const DASH = "–";
const MINUS = "\u2212";

export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return value < 0 && Number(text.replaceAll(",", "")) !== 0 ? MINUS + text : text;
}

// A score from 0 to 1: 0 and 1 stand out, since they are what a verifier gives.
export function score(value) {
  if (value === null || value === undefined) return DASH;
  return value < 0.005 ? "0" : value > 0.995 ? "1" : number(value, 2);
}

// Three significant digits, for values of any size.
export function short(value) {
  if (value === null || value === undefined) return DASH;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1).replace("-", MINUS);
  const digits = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return number(value, digits);
}

export function seconds(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 0) return MINUS + seconds(-value);
  if (value < 10) return `${number(value, 1)} s`;
  if (value < 120) return `${number(value)} s`;
  if (value < 7200) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
}

export function bytes(value) {
  return value === null || value === undefined ? DASH : `${number(value / 2 ** 20)} MiB`;
}

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

export function day(text) {
  if (!text) return DASH;
  const at = new Date(text);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

export function mean(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
