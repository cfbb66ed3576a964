"""What Pre-PPO selected and why, and the shares of the domains, as the page shows them. Pure.

Invariant: asked, dispatched and trained shares are over the same domains and each sums to 1; a group counts once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.settings.domain_shares import DomainShare, fractions_at

MOST_ROUNDS = 100
"""Rounds of the table: two screens, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLine:
    """A cut of a round: candidates are ordered by the rule's value, and the first are kept."""

    rule: str
    domain: str
    """Empty if the rule makes one cut over all its domains."""
    candidates: int
    kept: int
    cut: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonLine:
    """Prompts of a round that share their decision."""

    domain: str
    selected: bool
    reason: str
    """A `trainer.curriculum.decisions.Reason`."""
    means: str
    """The reason in words."""
    prompts: int
    mean: float | None
    """Mean over those that were measured of the expected score under the posterior."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundLine:
    round: int
    version: int
    at: datetime
    rule: str
    """The rule, or the mixture of rules with their weights; `off` if the selection was off."""
    keep_share: float | None
    """None if the round stored no settings."""
    cuts: Sequence[CutLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPrompt:
    prompt_id: str
    prompt: str
    domain: str
    selected: bool
    rule: str
    value: float
    """What the rule ranked it by: lower is kept first."""
    a: float | None
    b: float | None
    """Its posterior Beta(a, b) at the round's version; None if nothing was known of it."""
    scores: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLine:
    domain: str
    asked: float
    """Mean of the share that it was to get, over the dispatched groups, at the version of their dispatch."""
    dispatched: float
    trained: float | None
    """None before the first trained group."""
    dispatched_groups: int
    trained_groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharePoint:
    """Shares of one domain at a version."""

    version: int
    domain: str
    asked: float
    trained: float
    """Its share of the groups that were trained on in the last `SHARE_WINDOW` versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionView:
    enabled: bool
    rounds: Sequence[RoundLine]
    """The newest first."""
    reasons: Sequence[ReasonLine]
    """The decisions of the newest round."""
    most: Sequence[RankedPrompt]
    """Those that the newest round ranks first."""
    least: Sequence[RankedPrompt]
    """Those that it ranks last, the last one first, without those of `most`."""
    quarantined: int
    """Prompts that the newest round kept out as suspicious."""
    shares: Sequence[ShareLine]
    trend: Sequence[SharePoint]


SHARE_WINDOW = 8
"""Versions over which a trained share is taken: a step of a few groups cannot have the share that was asked for."""

_MEANINGS = {
    "rule": {True: "the rule ranks it up to the cut", False: "the rule ranks it after the cut"},
    "stale": {True: "to be measured again: its newest score is old", False: "stale"},
    "unseen": {True: "not measured; let in by a draw", False: "not measured; left out by a draw"},
    "original": {True: "an original prompt, which is not filtered", False: "an original prompt"},
    "resting": {True: "rested", False: "it rests: its last groups taught nothing"},
    "quarantined": {True: "released", False: "its reference is suspect"},
    "off": {True: "the selection is off", False: "the selection is off"},
    "before": {True: "an earlier release decided", False: "an earlier release decided"},
}


def meaning_of(reason: str, *, selected: bool) -> str:
    """A `trainer.curriculum.decisions.Reason` in words; the reason itself if it is not known."""
    return _MEANINGS.get(reason, {}).get(selected, reason)


def rule_of(settings: Mapping[str, Any]) -> tuple[str, float | None]:
    """The rule of a round's stored settings in words, and its share to keep."""
    preppo = settings.get("preppo")
    if not preppo:
        return "not stored", None
    if not preppo.get("enabled", True):
        return "off", None
    mixture = preppo.get("mixture") or {}
    total = sum(mixture.values())
    mixed = " + ".join(f"{weight / total:.0%} {name}" for name, weight in sorted(mixture.items())) if total else ""
    rule = mixed or str(preppo["rule"])
    own = ", ".join(f"{name} in {domain}" for domain, name in sorted(preppo.get("rule_by_domain", {}).items()))
    return f"{rule}; {own}" if own else rule, preppo["keep_share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTally:
    """Train groups of one domain that were dispatched at a version and closed alike."""

    domain: str
    dispatched_version: int
    trained_version: int | None
    """The version that trained on them; None if none did."""
    groups: int


def shares_of(tallies: Sequence[GroupTally], shares: Mapping[str, DomainShare]) -> list[ShareLine]:
    """One row per domain by name; none if nothing was dispatched."""
    dispatched, trained = Counter[str](), Counter[str]()
    for tally in tallies:
        dispatched[tally.domain] += tally.groups
        trained[tally.domain] += tally.groups if tally.trained_version is not None else 0
    at = {version: fractions_at(shares, version, dispatched) for version in {t.dispatched_version for t in tallies}}
    total = dispatched.total()
    return [
        ShareLine(
            domain=domain,
            asked=sum(at[tally.dispatched_version][domain] * tally.groups for tally in tallies) / total,
            dispatched=count / total,
            trained=trained[domain] / trained.total() if trained.total() else None,
            dispatched_groups=count,
            trained_groups=trained[domain],
        )
        for domain, count in sorted(dispatched.items())
    ]


def share_trend(
    tallies: Iterable[GroupTally], shares: Mapping[str, DomainShare], most: int, window: int = SHARE_WINDOW
) -> list[SharePoint]:
    """At most `most` versions, each with a point for every domain."""
    tallies = list(tallies)
    domains = sorted({tally.domain for tally in tallies})
    by_version: dict[int, Counter[str]] = defaultdict(Counter)
    for tally in tallies:
        if tally.trained_version is not None:
            by_version[tally.trained_version][tally.domain] += tally.groups
    versions = sorted(by_version)
    every = max(1, -(-len(versions) // most))
    points = []
    for version in versions[::-every][::-1] if versions else ():
        lately = Counter[str]()
        for earlier in range(version - window + 1, version + 1):
            lately.update(by_version.get(earlier, {}))
        asked = fractions_at(shares, version, domains)
        points += [
            SharePoint(version=version, domain=d, asked=asked[d], trained=lately[d] / lately.total()) for d in domains
        ]
    return points
