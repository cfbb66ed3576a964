// A table: columns with a head, a cell and an alignment; its rows are reached by j and k.

import { h } from "./dom.js";

// columns: [{head, cell: (row) => node, numeric, wide}]; `caption` is read out and not shown.
export function table(caption, columns, rows, none = "none") {
  if (!rows.length) return h("p", { class: "quiet" }, none);
  const head = columns.map((column) => h("th", { scope: "col", class: cls(column) }, column.head));
  const body = rows.map((row) => h("tr", { "data-row": true }, columns.map((column) => h("td", { class: cls(column) }, column.cell(row)))));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", null, h("caption", { class: "heard" }, caption), h("thead", null, h("tr", null, head)), h("tbody", null, body)),
  );
}

function cls(column) {
  return [column.numeric && "numeric", column.wide && "wide"].filter(Boolean).join(" ") || null;
}
