// Groups that are open: how old they are, and where they are.

import { h, link } from "../dom.js";
import { number, seconds } from "../format.js";
import { table } from "../table.js";
import { visible } from "../text.js";

export const open = {
  name: "open",
  menu: "Open groups",
  route: /^open$/,
  title: () => "Open groups",
  read: () => ["open"],
  draw(of) {
    const more = of.total > of.groups.length ? `the oldest ${number(of.groups.length)} are shown` : "";
    return [
      h("h1", null, "Open groups ", h("span", { class: "aside" }, `${number(of.total)} in flight${more ? `; ${more}` : ""}`)),
      table(
        "Open groups, the oldest first",
        [
          { head: "group", cell: (one) => link(`group/${one.seq}`, `group ${one.seq}`) },
          { head: "age", numeric: true, cell: (one) => seconds(one.age_seconds) },
          { head: "until its deadline", numeric: true, cell: (one) => (one.left_seconds < 0 ? h("b", { class: "late" }, `${seconds(-one.left_seconds)} over`) : seconds(one.left_seconds)) },
          { head: "where", wide: true, cell: (one) => one.place },
          { head: "scored", numeric: true, cell: (one) => `${one.scored} of ${one.samples}` },
          { head: "domain", cell: (one) => one.domain },
          { head: "for", cell: (one) => [one.purpose, one.label].filter(Boolean).join(" ") },
          { head: "version", numeric: true, cell: (one) => number(one.dispatched_version) },
          { head: "prompt", wide: true, cell: (one) => h("span", { class: "quiet" }, visible(one.prompt)) },
        ],
        of.groups,
        "No group is in flight.",
      ),
    ];
  },
};
