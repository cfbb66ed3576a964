"""The one interface to generative judges (GenRM): is the candidate right, or as good as the reference?

Score = P(YES) / (P(YES) + P(NO)), summed over spelling variants (arXiv 2503.22230 and Seed1.5-Thinking). The mass
that went to no verdict is reported as `uncovered`. Invariant: there is no score that means "the judge failed". A
request that it could not answer is a `JudgeFailure`; a judge that answered nothing at all raises
`JudgeUnavailableError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streams.messages import Question


class JudgeUnavailableError(RuntimeError):
    """An outage: unreachable, too slow, overloaded (HTTP 429), broken (5xx). Worth asking the same again."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        """Seconds that the server asked to be left alone; None where it did not say."""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    question: Question
    response: str
    domain: str = ""
    """Chooses the rubric, where the settings have one for it."""


@dataclass(frozen=True, slots=True)
class Judgement:
    score: float
    """In [0, 1]."""
    off_verdict_mass: float
    """Probability mass on no verdict; the largest where several prompts were asked."""
    why: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the form adds (workers.judges.judging_scheme): `orders`, `flips`, `invalid`, `votes`."""


@dataclass(frozen=True, slots=True)
class JudgeFailure:
    """No answer to this request, while others may have theirs."""

    why: str
    outage: bool = False
    """As in JudgeUnavailableError; otherwise the answer was nonsense, or the request is one that it refuses."""
    retry_after: float | None = None
    garbled: bool = False
    """The answer had not the shape that was asked for, as when something else than the judge answers."""


class Judge(Protocol):
    name: str
    version: str

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
        """One answer a request, in order. Blocking; callers run it in a thread.

        Raises JudgeUnavailableError where an outage left every request without an answer, and ValueError where a
        question has nothing to judge by.
        """
        ...

    def prefix_hit_rate(self) -> float | None:
        """Share of prompt tokens since the last call that were found computed; None where it is not known."""
        ...

    def close(self) -> None: ...
