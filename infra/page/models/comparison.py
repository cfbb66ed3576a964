"""Two runs side by side: held-out scores, the paired difference, settings, and prompts. Pure.

Invariant: a difference is taken within a prompt, over prompts that both runs answered; where the runs share none, there
is none, and no difference of two means stands in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.page.models.trend import HeldoutMean
from trainer.evaluation.results import PromptScores, compare

MOST_PROMPTS = 20
"""Prompts from each end: those whose score differs most."""
_PLACES = ("run.id", "run.folder", "topics.prefix", "broker.", "database.", "page.", "logs.")
"""Settings of where a run is kept, which differ between any two runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRun:
    run_id: str
    recipe: str
    model: str
    phase: str
    created_at: datetime
    heldout: float | None
    """Newest held-out score over all domains; None if none was measured."""
    version: int | None
    """The version that it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsView:
    run_id: str
    runs: Sequence[OtherRun]
    """Other runs of this database, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run of the two, at its newest held-out measurement."""

    run_id: str
    label: str
    """Label of the measurement, such as `after`; empty if there is none."""
    version: int | None
    scorers: Sequence[str]
    """NAME@VERSION of the scorers of the measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLine:
    domain: str
    """`overall` is all domains together."""
    ours: HeldoutMean | None
    theirs: HeldoutMean | None
    shared: int
    """Prompts that both answered."""
    difference: float | None
    """Ours minus theirs, over the shared prompts."""
    low: float | None
    high: float | None
    """Ends of its 95 % interval over prompts."""
    p: float | None
    """Two-sided, of the hypothesis that the runs are exchangeable on every prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    path: str
    ours: Any
    theirs: Any
    """None if the run has no such setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLine:
    prompt_id: str
    prompt: str
    domain: str
    ours: float
    theirs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    ours: Side
    theirs: Side
    domains: Sequence[DomainLine]
    better: Sequence[PromptLine]
    """Shared prompts on which this run scores higher, the largest difference first."""
    worse: Sequence[PromptLine]
    equal: int
    """Shared prompts with equal scores."""
    settings: Sequence[SettingLine]


def domain_lines(
    ours: Sequence[HeldoutMean],
    theirs: Sequence[HeldoutMean],
    first: Sequence[PromptScores],
    second: Sequence[PromptScores],
) -> list[DomainLine]:
    """`overall` first, then the domains by name. `first`, `second`: the prompts of ours and theirs."""
    mine = {mean.domain: mean for mean in ours}
    others = {mean.domain: mean for mean in theirs}
    paired = {
        row.part.name: row
        for row in compare(second, first, {"mean": lambda prompt: prompt.mean})
        if row.part.kind != "skill"
    }
    names = sorted(mine.keys() | others.keys() | paired.keys(), key=lambda name: (name != "overall", name))
    return [_domain(name, mine.get(name), others.get(name), paired.get(name)) for name in names]


def _domain(name: str, ours: HeldoutMean | None, theirs: HeldoutMean | None, paired: Any) -> DomainLine:
    found = None if paired is None else paired.metrics.get("mean")
    return DomainLine(
        domain=name,
        ours=ours,
        theirs=theirs,
        shared=0 if paired is None else paired.prompts,
        difference=None if found is None else found.difference.value,
        low=None if found is None else found.difference.low,
        high=None if found is None else found.difference.high,
        p=None if found is None else found.p,
    )


def furthest(first: Sequence[PromptScores], second: Sequence[PromptScores]) -> tuple[list[Any], list[Any], int]:
    """Pairs of shared prompts: where the first is higher, where it is lower, and how many are equal. The largest
    difference first, at most `MOST_PROMPTS` on each side.
    """
    others = {prompt.prompt_id: prompt for prompt in second}
    pairs = [(prompt, others[prompt.prompt_id]) for prompt in first if prompt.prompt_id in others]
    pairs.sort(key=lambda pair: (pair[1].mean - pair[0].mean, pair[0].prompt_id))
    higher = [pair for pair in pairs if pair[0].mean > pair[1].mean]
    lower = [pair for pair in pairs if pair[0].mean < pair[1].mean]
    return higher[:MOST_PROMPTS], lower[::-1][:MOST_PROMPTS], len(pairs) - len(higher) - len(lower)


def settings_that_differ(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[SettingLine]:
    """Returns them by path, without those of where a run is kept."""
    mine, others = _flat(ours), _flat(theirs)
    return [
        SettingLine(path=path, ours=mine.get(path), theirs=others.get(path))
        for path in sorted(mine.keys() | others.keys())
        if not path.startswith(_PLACES) and mine.get(path) != others.get(path)
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
