"""The rows of the page's tables, and the views that are made of them. Pure.

Invariant: a row names what it links to by the ids of the log, and a text in a row is an excerpt; the whole text is in
the rollout's own view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

EXCERPT = 160
"""Characters of a text in a row: two lines of a table on a wide screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    seq: int
    prompt_id: str
    prompt: str
    domain: str
    purpose: str
    label: str
    outcome: str | None
    """None while it is open."""
    reason: str | None
    version: int | None
    staleness: int | None
    mean: float | None
    scores: Sequence[float | None]
    """Those that count, in the order of the samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    version: int
    numbers: Mapping[str, Any] | None
    """The step's line of steps.jsonl; None if there is none."""
    trained: Sequence[GroupLine]
    others: Sequence[GroupLine]
    """Groups that closed otherwise while the learner held this version."""
    previous: int | None
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLine:
    seq: int
    prompt: str
    domain: str
    purpose: str
    label: str
    age_seconds: float
    left_seconds: float
    """Until its deadline; negative once that is over."""
    dispatched_version: int
    samples: int
    scored: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGroups:
    total: int
    groups: Sequence[OpenLine]
    """The oldest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    seq: int
    index: int
    domain: str
    purpose: str
    label: str
    route: str
    scorer: str
    version: int
    score: float | None
    status: str
    outcome: str | None
    reason: str | None
    tokens: int
    answer: str | None
    """The answer that the verifier read; None if it read none."""
    expected: str | None
    """The ground truth; None if the prompt has none."""
    prompt: str
    text: str | None
    """None if only the log has the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    rows: Sequence[TableRow]
    page: int
    """From 0."""
    more: bool
    counted: int
    """Rows that the filter finds, counted up to a bound."""
    bound: int
    domains: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSample:
    """One group of a prompt, with its best and its worst response."""

    seq: int
    purpose: str
    label: str
    dispatched_version: int
    outcome: str | None
    scores: Sequence[float | None]
    best: "RatedText | None"
    worst: "RatedText | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedText:
    index: int
    score: float
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptView:
    explanation: Mapping[str, Any]
    samples: Sequence[PromptSample]
    """The newest groups, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewGroups:
    purpose: str
    outcomes: Mapping[str, int]


def excerpt(text: str, most: int = EXCERPT) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def place_of(samples: int, scored: int, *, confirmed: bool) -> str:
    """The place of an open group, as far as Postgres knows."""
    if not confirmed:
        return "in the outbox: the broker has not acknowledged its ticket"
    if scored == 0:
        return "with the engines, or before a scorer"
    if scored < samples:
        return f"{samples - scored} of {samples} responses are with the engines, or before a scorer"
    return "with the learner: every response is scored"


def age(then: datetime, now: datetime) -> float:
    return (now - then).total_seconds()
