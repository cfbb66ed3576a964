// Dead letters: how many of which kind, the newest ones, and one record as far as it decodes.

import { h, link } from "../dom.js";
import { DASH, day, number } from "../format.js";
import { crumbs, neighbours } from "../marks.js";
import { table } from "../table.js";
import { block, visible } from "../text.js";
import { fact } from "./group.js";

const place = (id) => `dead-letters/${id.replace(":", "-")}`;
const at = (seconds) => (seconds ? day(seconds * 1000) : DASH);
const text = (value) => h("span", null, visible(value));

export const letters = {
  name: "letters",
  menu: "Dead letters",
  served: true,
  route: /^dead-letters$/,
  title: () => "Dead letters",
  read: () => ["dead-letters"],
  draw(of) {
    const found = of.missing ? "" : `${of.all ? "" : "the newest "}${number(of.read)}, kept untouched`;
    const head = h("h1", null, "Dead letters ", h("span", { class: "aside" }, found));
    if (of.missing) return [head, h("p", null, `The dead letters cannot be read: ${of.missing}.`)];
    if (!of.read) return [head, h("p", null, "No record of this run was set aside.")];
    return [
      head,
      table("Dead letters by topic and reason", counts(), of.counts),
      h("h2", null, "The newest ", h("span", { class: "aside" }, of.read > of.letters.length ? `${number(of.letters.length)} of ${number(of.read)}` : "")),
      table("The newest dead letters", columns(), of.letters),
      h("h2", null, "Send them again"),
      h("p", null, "Once the cause is mended, this sends a record to the topic that it came from; a copy of one that was processed is dropped by its id:"),
      h("p", null, h("code", null, of.replay)),
    ];
  },
};

function counts() {
  return [
    { head: "letters", numeric: true, cell: (one) => number(one.letters) },
    { head: "topic", cell: (one) => text(one.topic) },
    { head: "stage", cell: (one) => text(one.stage) },
    { head: "error", cell: (one) => text(one.error) },
    { head: "reason of the newest", wide: true, cell: (one) => text(one.reason) },
    { head: "first", cell: (one) => at(one.first_at) },
    { head: "last", cell: (one) => at(one.last_at) },
  ];
}

function columns() {
  return [
    { head: "letter", cell: (one) => link(place(one.id), one.id) },
    { head: "set aside", cell: (one) => at(one.first_failed_at) },
    { head: "of", cell: (one) => text(`${one.topic}[${one.partition}] at ${one.offset}`) },
    { head: "stage", cell: (one) => text(one.stage) },
    { head: "attempts", numeric: true, cell: (one) => number(one.attempts) },
    { head: "bytes", numeric: true, cell: (one) => number(one.bytes) },
    { head: "why", wide: true, cell: (one) => text(`${one.error}: ${one.reason}`) },
  ];
}

export const letter = {
  name: "letter",
  route: /^dead-letters\/(\d+-\d+)$/,
  title: (params) => `Dead letter ${params[0].replace("-", ":")}`,
  read: (params) => [`dead-letters/${params[0]}`],
  near: (of) => ({ previous: of.previous && place(of.previous), next: of.next && place(of.next), up: "dead-letters" }),
  draw(of) {
    const one = of.letter;
    const broken = one.body !== null && typeof one.body === "object" && "does_not_decode" in one.body;
    return [
      crumbs(link("", "Overview"), link("dead-letters", "Dead letters"), one.id),
      h("h1", null, `Dead letter ${one.id} `, h("span", { class: "aside" }, `${number(one.bytes)} bytes`)),
      neighbours(this.near(of), "letter"),
      h(
        "dl",
        { class: "facts" },
        fact("From", text(`${one.topic}[${one.partition}] at ${one.offset}`)),
        fact("Set aside by", text(`${one.stage}, at attempt ${one.attempts}, ${at(Date.parse(one.first_failed_at) / 1000)}`)),
        fact("Error", text(one.error)),
        fact("Key", text(one.key || DASH)),
        fact("Send again", h("code", null, of.replay)),
      ),
      h("h2", null, "Reason"),
      block(one.reason, "Reason"),
      h("h2", null, "Record ", h("span", { class: "aside" }, broken ? "it does not decode" : "decoded")),
      broken ? [h("p", null, text(one.body.does_not_decode)), block(spaced(one.body.hex), "The first bytes, in hexadecimal")] : block(JSON.stringify(one.body, null, 2), "Decoded record"),
      h("h2", null, "Headers"),
      table("Headers", [{ head: "name", cell: ([name]) => text(name) }, { head: "value", wide: true, cell: ([, value]) => text(value) }], Object.entries(one.headers), "It has none."),
    ];
  },
};

function spaced(hex) {
  return (hex.match(/../g) || []).join(" ");
}
