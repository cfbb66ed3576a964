// The table of rollouts in an export, where no database filters and sorts (infra/page/readers/table.py).

const PAGE_ROWS = 50;
const SCORES = {
  zero: (row) => row.score !== null && row.score <= 0,
  between: (row) => row.score > 0 && row.score < 1,
  one: (row) => row.score >= 1,
  none: (row) => row.score === null,
};
const newest = (a, b) => b.seq - a.seq || a.index - b.index;
const byScore = (sign) => (a, b) => (a.score === null) - (b.score === null) || sign * (a.score - b.score) || newest(a, b);
const SORTS = {
  newest,
  oldest: (a, b) => a.seq - b.seq || a.index - b.index,
  best: byScore(-1),
  worst: byScore(1),
  longest: (a, b) => b.tokens - a.tokens || newest(a, b),
  shortest: (a, b) => a.tokens - b.tokens || newest(a, b),
};

export function filtered(rows, query, domains) {
  const found = rows.filter((row) => fits(row, query)).sort(SORTS[query.sort] || newest);
  const page = Number(query.page || 0);
  const start = page * PAGE_ROWS;
  return { rows: found.slice(start, start + PAGE_ROWS), page, more: found.length > start + PAGE_ROWS, counted: found.length, bound: rows.length + 1, domains };
}

function fits(row, query) {
  const same = ["purpose", "domain", "route", "status"].every((name) => !query[name] || row[name] === query[name]);
  const ended = !query.outcome || (row.outcome || "open") === query.outcome;
  const made = !query.version || row.version === Number(query.version);
  const rated = !query.score || SCORES[query.score](row);
  return same && ended && made && rated && (!query.text || (row.text || "").toLowerCase().includes(query.text.toLowerCase()));
}
