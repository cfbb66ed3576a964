"""The sections of the report: each takes what it shows and returns its HTML, empty where there is nothing."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from infra.report.collect import AFTER, BEFORE, Response, RunRecord, SelectionRow
from infra.report.markup import Html, cards, flat, judged, number, section, table, text
from infra.report.statistics import OPENING_WORDS, distinct_2, opening_share
from infra.report.summary import prompt_scores

SAMPLES_A_DOMAIN = 3
_OPENING_ALARM = 0.3
"""Measured: 10 % before training, 58-96 % once writing has collapsed onto one template."""
_OPENING_GROWTH = 2.0
_OPENING_TEXTS = 20
"""Fewer texts of four words repeat themselves by chance."""
_MOST_WHYS = 12
_SUSPICIOUS = "suspicious"
_DETAILS = re.compile(r"[,;] |: none | \d")
"""Where the selection's reasons turn from what was decided to this prompt's own numbers."""


def heading(summary: Mapping[str, Any]) -> Html:
    overall = summary["heldout"]["overall"]
    interval = overall["delta_ci95"]
    gain = "&ndash;" if overall["delta"] is None else f"{overall['delta']:+.3f}"
    between = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
    values = {
        f"held-out gain{between}": Html(gain),
        "held-out before": overall["before"],
        "held-out after": overall["after"],
        "policy versions": summary["policy_versions"],
        "groups trained on": summary["groups"]["trained"],
        "seconds in all": summary["wall_seconds"],
    }
    lead = f"broker {summary['broker']} · seed {summary['seed']} · {_audit_text(summary['audit'])}"
    return Html(f"<header><h1>Run {text(summary['run'])}</h1><p>{text(lead)}</p></header>{cards(values)}")


def heldout(summary: Mapping[str, Any], picture: Html | None) -> Html:
    results = summary["heldout"]
    rows = [
        (
            name,
            row["prompts"],
            row["base"],
            row["before"],
            row["after"],
            _delta(row),
        )
        for name, row in [("overall", results["overall"]), *results["by_domain"].items()]
    ]
    return section(
        "Held-out prompts",
        "Mean score of prompts that share nothing with training. Base: the model as shipped; before: the policy that "
        "PPO started from. Intervals: paired bootstrap over prompts within their domain; they leave out the spread "
        "over seeds.",
        picture,
        table(("domain", "prompts", "base", "before", "after", "after - before"), rows),
    )


def samples(record: RunRecord) -> Html:
    """By domain: the prompt that gained most, the median one, and the one that lost most."""
    first: dict[tuple[str, str], Response] = {}
    for response in record.responses:
        first.setdefault((response.prompt_id, response.label), response)
    before, after = prompt_scores(record.responses, BEFORE), prompt_scores(record.responses, AFTER)
    by_domain: dict[str, list[str]] = defaultdict(list)
    for prompt in sorted(before.keys() & after.keys(), key=lambda name: (before[name] - after[name], name)):
        by_domain[first[prompt, BEFORE].domain].append(prompt)
    blocks = [
        _sample(
            record.prompts.get(prompt, prompt),
            (first[prompt, BEFORE], before[prompt]),
            (first[prompt, AFTER], after[prompt]),
        )
        for _, prompts in sorted(by_domain.items())
        for prompt in _spread(prompts)
    ]
    return section(
        "Responses, before and after",
        "Three held-out prompts a domain: the largest gain, the median, the largest loss. Each shows the first of its "
        "samples; the scores in brackets are means over all samples of the prompt.",
        Html("".join(blocks)) if blocks else None,
    )


def selection(selections: Sequence[SelectionRow], prompts: Mapping[str, str]) -> Html:
    """`prompts`: id -> text."""
    if not selections:
        return Html("")
    last = max(row.round for row in selections)
    rows = [row for row in selections if row.round == last]
    kinds = sorted({(row.domain, row.origin) for row in rows})
    lines = []
    for domain, origin in kinds:
        members = [row for row in rows if (row.domain, row.origin) == (domain, origin)]
        kept = [row for row in members if row.selected]
        lines.append((domain, origin, len(members), len(kept), _normalised(kept), _normalised(members)))
    whys = Counter(_kind_of(row.why) for row in rows).most_common(_MOST_WHYS)
    suspicious = [
        (prompts.get(row.prompt_id, row.prompt_id), row.domain, row.why) for row in rows if _SUSPICIOUS in row.why
    ]
    rounds = last + 1 - min(row.round for row in selections)
    return section(
        "Selection of prompts (Pre-PPO)",
        f"The last of {rounds} round{'s' if rounds > 1 else ''}. New prompts are kept where they score lowest within "
        "their domain; originals stay; prompts whose reference looks wrong are set aside. `rewardstream prompts "
        "explain ID` tells a single prompt's story.",
        table(("domain", "origin", "prompts", "kept", "normalised score of the kept", "of all"), lines),
        table(("decision", "prompts"), whys),
        table(("set aside", "domain", "why"), suspicious[:_MOST_WHYS]),
    )


def _kind_of(why: str) -> str:
    """The reason without the prompt's own numbers."""
    kind = _DETAILS.split(why, maxsplit=1)[0]
    return kind.removesuffix(":")


def diversity(responses: Sequence[Response]) -> Html:
    rows, alarms = [], []
    for domain in sorted({response.domain for response in responses}):
        texts = {
            label: [row.text for row in responses if row.domain == domain and row.label == label]
            for label in (BEFORE, AFTER)
        }
        openings = [opening_share(texts[label]) for label in (BEFORE, AFTER)]
        enough = sum(len(text.split()) >= OPENING_WORDS for text in texts[AFTER]) >= _OPENING_TEXTS
        alarm = enough and openings[1] > max(_OPENING_ALARM, _OPENING_GROWTH * openings[0])
        alarms += [domain] if alarm else []
        after = judged(f"{openings[1]:.2f}", good=False) if alarm else openings[1]
        rows.append((domain, openings[0], after, distinct_2(texts[BEFORE]), distinct_2(texts[AFTER])))
    verdict = f"Alarm in {', '.join(alarms)}: answers collapse onto a template." if alarms else "No alarm."
    return section(
        "Diversity of the held-out answers",
        f"{verdict} Share of the most common four-word opening (alarm above {_OPENING_ALARM:.0%} and doubled), and "
        "distinct-2, different word pairs by all pairs: rewards that rise while these collapse are paid for form.",
        table(("domain", "opening before", "opening after", "distinct-2 before", "distinct-2 after"), rows),
    )


def preparation(summary: Mapping[str, Any]) -> Html:
    report = summary["prepare"]
    return section(
        "Preparation: SFT and judge",
        "Made once and kept by content hash. The judge's figures are on held-out questions.",
        table(("", ""), flat(report)),
    )


def calibration(summary: Mapping[str, Any]) -> Html:
    """Empty where no rollout was scored by both routes."""
    columns = ("pairs", "agreement", "over_scoring", "under_scoring", "mean_difference")
    rows = [
        (row["domain"], row["verifier"], row["judge"], *(row[name] for name in columns))
        for row in summary["calibration"]
    ]
    return section(
        "GenRM against RTV",
        "Rollouts that both routes scored (router.shadow_share). Over-scoring: the share of what the verifier calls "
        "wrong that the judge passes, which is what a policy learns to exploit. Under-scoring: the share of what the "
        "verifier passes that the judge does not. Difference: the judge's score less the verifier's.",
        table(("domain", "verifier", "judge", "pairs", "agree", "over-scored", "under-scored", "difference"), rows),
    )


def machinery(summary: Mapping[str, Any], pictures: Sequence[Html | None]) -> Html:
    rows = [
        *((f"phase {name}, seconds", value) for name, value in summary["phase_seconds"].items()),
        ("learner tokens a second", summary["learner_tokens_per_second"]),
        ("rollouts a second", summary["rollouts_per_second"]),
        ("staleness p50, p99, max", Html(", ".join(number(value) for value in summary["staleness"].values()))),
        ("restarts", summary["restarts"]),
    ]
    return section(
        "The machinery",
        "Every dispatched group ends in exactly one outcome. Assessment and held-out groups close as filtered, reason "
        "measured: they are never trained on.",
        *pictures,
        table(("", ""), rows),
    )


def audit(summary: Mapping[str, Any]) -> Html:
    return section("Audit of the log", _audit_text(summary["audit"]), table(("", ""), flat(summary["audit"])))


def places(paths: Mapping[str, str]) -> Html:
    rows = [(name, Html(f"<code>{text(path)}</code>")) for name, path in paths.items()]
    return section("Where things are", "Relative to the run's folder unless absolute.", table(("", ""), rows))


def _audit_text(result: Mapping[str, Any]) -> str:
    if not result:
        return "not audited"
    violations = result.get("violations")
    found = len(violations) if isinstance(violations, (list, tuple)) else int(violations or 0)
    return f"audit: {found} violations" if found else "audit: no violation"


def _delta(row: Mapping[str, Any]) -> Html:
    if row["delta"] is None:
        return Html("&ndash;")
    low, high = row["delta_ci95"]
    shown = f"{row['delta']:+.3f} [{low:+.3f}, {high:+.3f}]"
    return judged(shown, good=low > 0) if low > 0 or high < 0 else text(shown)


def _normalised(rows: Sequence[SelectionRow]) -> float | None:
    values = [row.normalised for row in rows if row.normalised is not None]
    return fmean(values) if values else None


def _spread(ordered: Sequence[str]) -> list[str]:
    """First, middle and last of prompts ordered from the largest gain to the largest loss."""
    places = dict.fromkeys((0, len(ordered) // 2, len(ordered) - 1))
    return [ordered[place] for place in places][:SAMPLES_A_DOMAIN]


def _sample(prompt: str, before: tuple[Response, float], after: tuple[Response, float]) -> str:
    head = f'<div class="prompt">{text(prompt)} <span class="tag">{text(before[0].domain)}</span></div>'
    sides = f"{_side(BEFORE, *before)}{_side(AFTER, *after)}"
    return f'<div class="sample">{head}<div class="pair">{sides}</div></div>'


def _side(label: str, response: Response, mean: float) -> str:
    verdict = f"{response.status}, {number(response.score)}: {response.why}" if response.why else response.status
    return (
        f'<div><span class="tag">{label} [{mean:.2f}]</span><pre>{text(response.text) or "(empty)"}</pre>'
        f'<span class="verdict">{text(response.scorer)}: {text(verdict)}</span></div>'
    )
