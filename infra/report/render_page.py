"""`report.html`: the values of its template, `page.html.j2`, which has the page's text and layout.

Invariant: the values are plain data. The template's autoescape is on, so whatever a model wrote is shown as text.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.report.collect import AFTER, BEFORE, Response, RunRecord, SelectionKind, SelectionSummary
from infra.report.hacking_tables import hacking_tables
from infra.report.summary import prompt_scores
from infra.report.summary_statistics import OPENING_WORDS, distinct_2, opening_share
from trainer.curriculum.decisions import Reason

SAMPLES_PER_DOMAIN = 3
_OPENING_ALARM = 0.3
"""Measured: 10 % before training, and 58-96 % once writing has collapsed onto one template."""
_OPENING_GROWTH = 2.0
_OPENING_TEXTS = 20
"""Fewer texts of four words have common openings by chance."""
_REASONS = {
    Reason.RULE: "by its rule",
    Reason.STALE: "to be measured again",
    Reason.UNSEEN: "not measured",
    Reason.ORIGINAL: "an original prompt",
    Reason.RESTING: "it rests, since its last groups taught nothing",
    Reason.QUARANTINED: "quarantined",
    Reason.OFF: "the selection is off",
    Reason.BEFORE: "decided by an earlier release",
}
_OF_ARTIFACTS = frozenset({"seconds", "cpu_seconds", "made"})
_DASH = "\N{EN DASH}"

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Marked:
    """A cell with a CSS class: `good`, `bad` or `plain` for numbers, `code` for paths."""

    text: str
    mark: str


def render(
    summary: Mapping[str, Any], record: RunRecord, pictures: Mapping[str, bytes | None], files: Mapping[str, str]
) -> str:
    """Returns the whole page. `pictures`: PNG bytes by name; `files`: description -> path."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["number"] = number
    environment.tests["numeric"] = is_numeric
    return environment.get_template("page.html.j2").render(
        run=summary["run"],
        broker=summary["broker"],
        seed=summary["seed"],
        cards=_cards(summary),
        advice=summary["advice"],
        rewards=_rewards(summary["reward_by_outcome"]),
        pictures={name: png and base64.b64encode(png).decode() for name, png in pictures.items()},
        heldout=_heldout(summary["heldout"]),
        versions=_evaluated_versions(record),
        samples=list(_samples(record)),
        diversity=_diversity([response for response in record.responses if response.label in (BEFORE, AFTER)]),
        selection=_selection(record.selections),
        shares=_shares(summary["domain_shares"]),
        hacking=hacking_tables(summary["hacking"]),
        calibration=_calibration(summary["calibration"]),
        artifacts=_artifacts(summary["prepare"]),
        preparation=flat({name: value for name, value in summary["prepare"].items() if name not in _OF_ARTIFACTS}),
        machinery=_machinery(summary),
        audit=_audit(summary["audit"]),
        audit_verdict=_audit_verdict(summary["audit"]),
        files=[(name, Marked(path, "code")) for name, path in files.items()],
    )


def number(value: Any) -> Any:
    """At most three digits after the point, thousands separated; a missing value is a dash. Text stays."""
    if value is None:
        return _DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return value


def is_numeric(value: Any) -> bool:
    if isinstance(value, Marked):
        return value.mark != "code"
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    """Returns nested values as (name, value) rows."""
    rows: Rows = []
    for name, value in values.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{label}: ")
        elif isinstance(value, (list, tuple)):
            rows.append((label, ", ".join(str(number(entry)) for entry in value) or "none"))
        else:
            rows.append((label, value))
    return rows


def _cards(summary: Mapping[str, Any]) -> Rows:
    overall = summary["heldout"]["overall"]
    interval = overall["delta_ci95"]
    between = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
    gain = None if overall["delta"] is None else f"{overall['delta']:+.3f}"
    return [
        (f"held-out gain{between}", _judged(gain, interval) if gain and interval else gain),
        ("held-out before", overall["before"]),
        ("held-out after", overall["after"]),
        ("policy versions", summary["policy_versions"]),
        ("groups trained on", summary["groups"]["trained"]),
        ("seconds in total", summary["wall_seconds"]),
    ]


def _rewards(by_domain: Mapping[str, Mapping[str, float]]) -> Rows:
    """Returns the mean score of trained and of filtered groups by domain."""
    return [(domain, _score(row.get("trained")), _score(row.get("filtered"))) for domain, row in by_domain.items()]


def _heldout(results: Mapping[str, Any]) -> Rows:
    skills = [(f"skill: {name.replace('_', ' ')}", row) for name, row in results["by_skill"].items()]
    return [
        (
            name,
            row["prompts"],
            _score(row["base"]),
            *(_score_between(row[which], row[f"{which}_ci95"]) for which in (BEFORE, AFTER)),
            _delta(row),
        )
        for name, row in [("overall", results["overall"]), *skills, *results["by_domain"].items()]
    ]


def _evaluated_versions(record: RunRecord) -> Rows:
    """Results of `rewardstream evaluate` on the run's versions; empty if there are none."""
    return [
        (
            row.version,
            row.domain,
            row.prompts,
            _score_between(row.mean, None if row.low is None or row.high is None else (row.low, row.high)),
            Marked(row.run_id, "code"),
        )
        for row in record.evaluated_versions
    ]


def _score_between(value: float | None, interval: Sequence[float] | None) -> Marked | None:
    """A score with its interval."""
    if value is None or interval is None:
        return _score(value)
    low, high = interval
    return Marked(f"{value:.3f} [{low:.3f}, {high:.3f}]", "plain")


def _score(value: float | None) -> Marked | None:
    """Three digits after the point, so that the scores of a column line up."""
    return None if value is None else Marked(f"{value:.3f}", "plain")


def _delta(row: Mapping[str, Any]) -> Marked | None:
    if row["delta"] is None:
        return None
    low, high = row["delta_ci95"]
    return _judged(f"{row['delta']:+.3f} [{low:+.3f}, {high:+.3f}]", (low, high))


def _judged(text: str, interval: Sequence[float]) -> Marked:
    """Marks a difference as good or bad if its interval excludes 0."""
    low, high = interval
    return Marked(text, "good" if low > 0 else "bad" if high < 0 else "plain")


def _samples(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Yields, by domain, the prompt that gained most, the median one, and the one that lost most."""
    first: dict[tuple[str, str], Response] = {}
    for response in record.responses:
        first.setdefault((response.prompt_id, response.label), response)
    scores = {label: prompt_scores(record.responses, label) for label in (BEFORE, AFTER)}
    before, after = scores[BEFORE], scores[AFTER]
    by_domain: dict[str, list[str]] = defaultdict(list)
    for prompt in sorted(before.keys() & after.keys(), key=lambda name: (before[name] - after[name], name)):
        by_domain[first[prompt, BEFORE].domain].append(prompt)
    for domain, prompts in sorted(by_domain.items()):
        for prompt in _largest_median_smallest(prompts):
            sides = [_side(label, first[prompt, label], scores[label][prompt]) for label in (BEFORE, AFTER)]
            yield {"prompt": record.prompts.get(prompt, prompt), "domain": domain, "sides": sides}


def _largest_median_smallest(ordered: Sequence[str]) -> list[str]:
    places = dict.fromkeys((0, len(ordered) // 2, len(ordered) - 1))
    return [ordered[place] for place in places][:SAMPLES_PER_DOMAIN]


def _side(label: str, response: Response, mean: float) -> dict[str, Any]:
    score = number(response.score)
    verdict = f"{response.status}, {score}: {response.why}" if response.why else response.status
    return {"label": label, "mean": mean, "text": response.text or "", "scorer": response.scorer, "verdict": verdict}


def _diversity(responses: Sequence[Response]) -> dict[str, Any] | None:
    rows: Rows = []
    alarms = []
    for domain in sorted({response.domain for response in responses}):
        texts = {
            label: [row.text or "" for row in responses if row.domain == domain and row.label == label]
            for label in (BEFORE, AFTER)
        }
        before, after = (opening_share(texts[label]) for label in (BEFORE, AFTER))
        enough = sum(len(text.split()) >= OPENING_WORDS for text in texts[AFTER]) >= _OPENING_TEXTS
        alarm = enough and after > max(_OPENING_ALARM, _OPENING_GROWTH * before)
        alarms += [domain] if alarm else []
        shown = Marked(f"{after:.3f}", "bad") if alarm else _score(after)
        rows.append((domain, _score(before), shown, *(_score(distinct_2(texts[label])) for label in (BEFORE, AFTER))))
    verdict = f"Alarm in {', '.join(alarms)}: answers collapse onto a template." if alarms else "No alarm."
    return {"verdict": verdict, "alarm_above": f"{_OPENING_ALARM:.0%}", "rows": rows} if rows else None


def _selection(selections: SelectionSummary) -> dict[str, Any] | None:
    """The last round of the selection."""
    if not selections.rounds:
        return None
    kinds: Rows = []
    for domain, origin in sorted({(kind.domain, kind.origin) for kind in selections.kinds}):
        members = [kind for kind in selections.kinds if (kind.domain, kind.origin) == (domain, origin)]
        kept = [kind for kind in members if kind.selected]
        sizes = (sum(kind.prompts for kind in some) for some in (members, kept))
        kinds.append((domain, origin, *sizes, *(_score(_mean_expected(some)) for some in (kept, members))))
    decisions: Counter[str] = Counter()
    for kind in selections.kinds:
        decisions[f"{'in' if kind.selected else 'out'}: {_REASONS[Reason(kind.reason)]}"] += kind.prompts
    return {
        "rounds": selections.rounds,
        "kinds": kinds,
        "decisions": decisions.most_common(),
        "set_aside": [(prompt.text, prompt.domain, prompt.why) for prompt in selections.quarantined],
    }


def _mean_expected(kinds: Sequence[SelectionKind]) -> float | None:
    """The mean over the measured prompts of these kinds, as if a kind were measured whole or not at all."""
    measured = [(kind.mean, kind.prompts) for kind in kinds if kind.mean is not None]
    prompts = sum(count for _, count in measured)
    return sum(mean * count for mean, count in measured) / prompts if prompts else None


def _shares(domains: Mapping[str, Mapping[str, Any]]) -> Rows:
    kinds = ("asked", "dispatched", "trained")
    return [
        (domain, *(_score(row[kind]) for kind in kinds), row["dispatched_groups"], row["trained_groups"])
        for domain, row in domains.items()
    ]


def _calibration(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Empty if no rollout was scored by both routes."""
    routes = ("domain", "verifier", "judge", "pairs")
    rates = ("agreement", "over_scoring", "under_scoring", "mean_difference")
    return [(*(row[name] for name in routes), *(_score(row[name]) for name in rates)) for row in rows]


def _artifacts(report: Mapping[str, Any]) -> Rows:
    """Name, seconds, CPU seconds, and whether this run made the artifact or found it in the cache."""
    cpu_seconds, made = report.get("cpu_seconds", {}), report.get("made", ())
    return [
        (name, round(seconds, 1), round(cpu_seconds.get(name, 0.0), 1), "made" if name in made else "cached")
        for name, seconds in report.get("seconds", {}).items()
    ]


def _machinery(summary: Mapping[str, Any]) -> Rows:
    return [
        *((f"seconds of phase {name}", value) for name, value in summary["phase_seconds"].items()),
        ("learner tokens per second", summary["learner_tokens_per_second"]),
        ("rollouts per second", summary["rollouts_per_second"]),
        ("staleness p50, p99, max", ", ".join(str(number(value)) for value in summary["staleness"].values())),
        ("restarts", summary["restarts"]),
    ]


def _audit(result: Mapping[str, Any]) -> Rows:
    if not result:
        return []
    shown = {name: value for name, value in result.items() if name not in {"run_id", "audited_at"}}
    at = result.get("audited_at")
    when = [("audited at", f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC")] if at else []
    return [*flat(shown), *when]


def _audit_verdict(result: Mapping[str, Any]) -> str:
    if not result:
        return "not audited"
    violations = result.get("violations")
    found = len(violations) if isinstance(violations, (list, tuple)) else int(violations or 0)
    return f"audit: {found} violations" if found else "audit: no violation"
