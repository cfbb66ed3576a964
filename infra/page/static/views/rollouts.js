// The table of rollouts: filtered, sorted, page by page.

import { h, link } from "../dom.js";
import { DASH, number } from "../format.js";
import { outcome, rated } from "../marks.js";
import { go, withQuery } from "../router.js";
import { table } from "../table.js";
import { visible } from "../text.js";

const CHOICES = {
  purpose: [["all", ""], ["for training", "train"], ["held out", "eval"], ["Pre-PPO", "assess"]],
  outcome: [["any", ""], ...["trained", "filtered", "stale", "expired", "failed", "open"].map((name) => [name, name])],
  score: [["any", ""], ["0", "zero"], ["between 0 and 1", "between"], ["1", "one"], ["no score", "none"]],
  route: [["any", ""], ["verifier", "rtv"], ["judge", "genrm"]],
  status: [["any", ""], ...["correct", "wrong", "judged", "unparseable", "timeout", "oom", "infra_error"].map((name) => [name.replace("_", " "), name])],
  sort: [["newest first", "newest"], ["oldest first", "oldest"], ["best first", "best"], ["worst first", "worst"], ["longest first", "longest"], ["shortest first", "shortest"]],
};

export const rollouts = {
  name: "rollouts",
  menu: "Rollouts",
  route: /^rollouts$/,
  title: () => "Rollouts",
  read: (_, query) => [["rollouts", query]],
  draw(of, { query }) {
    const found = of.counted >= of.bound ? `more than ${number(of.bound)}` : number(of.counted);
    return [
      h("h1", null, "Rollouts ", h("span", { class: "aside" }, `${found} found`)),
      filters(of, query),
      table("Rollouts", columns(), of.rows, "No rollout fits the filter."),
      pager(of, query),
    ];
  },
};

function filters(of, query) {
  const domains = [["all", ""], ...of.domains.map((domain) => [domain, domain])];
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the rollouts" },
    select("purpose", "For", CHOICES.purpose, query),
    select("domain", "Domain", domains, query),
    select("outcome", "Group ended", CHOICES.outcome, query),
    select("score", "Score", CHOICES.score, query),
    select("route", "Scored by", CHOICES.route, query),
    select("status", "Status", CHOICES.status, query),
    h("label", null, "Version", h("input", { name: "version", inputmode: "numeric", pattern: "[0-9]*", size: 5, value: query.version || "" })),
    h("label", { class: "grow" }, "Text", h("input", { name: "text", type: "search", "data-search": true, value: query.text || "", placeholder: "in the response" })),
    select("sort", "Sort", CHOICES.sort, query),
    h("button", null, "Apply"),
  );
  const apply = (event) => {
    event.preventDefault();
    go(withQuery("rollouts", Object.fromEntries(new FormData(form))));
  };
  form.addEventListener("submit", apply);
  form.addEventListener("change", (event) => event.target.matches("select") && apply(event));
  return form;
}

function select(name, label, choices, query) {
  const options = choices.map(([text, value]) => h("option", { value, selected: (query[name] || "") === value }, text));
  return h("label", null, label, h("select", { name }, options));
}

function columns() {
  return [
    { head: "rollout", cell: (one) => link(`rollout/${one.seq}/${one.index}`, `${one.seq}/${one.index}`) },
    { head: "domain", cell: (one) => one.domain },
    { head: "score", numeric: true, cell: (one) => rated(one.score) },
    { head: "answer read", cell: (one) => (one.answer === null ? DASH : h("span", { class: "answer" }, visible(one.answer))) },
    { head: "expected", cell: (one) => (one.expected === null ? DASH : h("span", { class: "answer" }, visible(one.expected))) },
    { head: "response", wide: true, cell: (one) => (one.text === null ? h("span", { class: "quiet" }, "only in the log") : h("span", { class: "clamp" }, visible(one.text))) },
    { head: "prompt", wide: true, cell: (one) => h("span", { class: "quiet clamp" }, visible(one.prompt)) },
    { head: "tokens", numeric: true, cell: (one) => number(one.tokens) },
    { head: "version", numeric: true, cell: (one) => number(one.version) },
    { head: "group", cell: (one) => h("a", { href: `#/group/${one.seq}` }, outcome(one)) },
  ];
}

function pager(of, query) {
  const to = (page) => withQuery("rollouts", { ...query, page: page || "" });
  return h(
    "nav",
    { class: "near", "aria-label": "Pages" },
    of.page > 0 ? link(to(of.page - 1), "Previous page") : h("span", { class: "quiet" }, "Previous page"),
    h("span", { class: "quiet" }, `page ${number(of.page + 1)}`),
    of.more ? link(to(of.page + 1), "Next page") : h("span", { class: "quiet" }, "Next page"),
  );
}
