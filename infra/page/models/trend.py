"""The run over its versions: what each step of the learner measured, and the held-out scores. Pure.

Invariant: a version has one point, that of the history that survived; a curve has at most `MOST_POINTS` points, so
that a long run costs a browser no more than a short one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

MOST_POINTS = 600
"""Points of a curve: a wide screen has two pixels for each."""
NUMBERS = (
    "reward",
    "entropy",
    "kl",
    "policy_loss",
    "value_loss",
    "policy_gradient_norm",
    "clip_fraction",
    "ratio",
    "importance_weight",
    "importance_clip_fraction",
    "logprob_diff_mean",
    "explained_variance",
    "staleness_mean",
    "staleness_max",
    "token_staleness",
    "response_tokens",
    "masked_fraction",
    "trajectories",
    "groups",
)
"""Numbers of a line of steps.jsonl that are kept for each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    version: int
    """The last one, if several steps were drawn together."""
    lineage: int
    at: float
    """Unix seconds."""
    seconds: float | None
    rewards: Mapping[str, float]
    """Domain -> mean reward."""
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldoutMean:
    label: str
    version: int
    domain: str
    prompts: int
    mean: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None if they were not computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendView:
    domains: Sequence[str]
    steps: Sequence[StepPoint]
    steps_per_point: int
    """Steps of which a point is the mean; 1 up to `MOST_POINTS` steps."""
    heldout: Sequence[HeldoutMean]


def point_of(line: Mapping[str, Any]) -> StepPoint:
    """Raises KeyError if it is not a line of steps.jsonl."""
    return StepPoint(
        version=line["version"],
        lineage=line["lineage"],
        at=line["at"],
        seconds=line.get("seconds", {}).get("total"),
        rewards=line["rewards"],
        numbers={name: line.get(name) for name in NUMBERS},
    )


def add_surviving(steps: list[StepPoint], point: StepPoint) -> None:
    """Appends the point. If a learner began again at an earlier version, what it makes anew goes first."""
    while steps and steps[-1].version >= point.version:
        steps.pop()
    steps.append(point)


def thin(steps: Sequence[StepPoint], most: int = MOST_POINTS) -> tuple[list[StepPoint], int]:
    """At most `most` points, and how many steps a point is the mean of."""
    size = max(1, -(-len(steps) // most))
    if size == 1:
        return list(steps), 1
    return [_mean(steps[start : start + size]) for start in range(0, len(steps), size)], size


def domains_of(steps: Iterable[StepPoint], heldout: Iterable[HeldoutMean]) -> list[str]:
    """All domains by name, without `overall`."""
    found = {domain for step in steps for domain in step.rewards} | {mean.domain for mean in heldout}
    return sorted(found - {"overall"})


def _mean(some: Sequence[StepPoint]) -> StepPoint:
    last = some[-1]
    domains = sorted({domain for step in some for domain in step.rewards})
    return StepPoint(
        version=last.version,
        lineage=last.lineage,
        at=last.at,
        seconds=_known_mean([step.seconds for step in some]),
        rewards={domain: fmean(s.rewards[domain] for s in some if domain in s.rewards) for domain in domains},
        numbers={name: _known_mean([step.numbers[name] for step in some]) for name in NUMBERS},
    )


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
