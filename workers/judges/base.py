"""The one interface to generative judges (GenRM): is the candidate right, or as good as the reference?

Score = P(YES) / (P(YES) + P(NO)), summed over spelling variants (arXiv 2503.22230 and Seed1.5-Thinking). The mass that
went to no verdict word is reported as `off_verdict_mass`. Invariant: there is no score that means "the judge failed". A
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
        """Seconds for which the server asked not to be called; None if it did not say."""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    question: Question
    response: str
    domain: str = ""
    """Selects the rubric, if the settings have one for this domain."""


@dataclass(frozen=True, slots=True)
class Judgement:
    score: float
    """In [0, 1]."""
    off_verdict_mass: float
    """Probability mass on tokens that are not verdict words; the largest of several prompts."""
    why: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """Additions of the judging scheme (workers.judges.judging_scheme): `orders`, `flips`, `invalid`."""


@dataclass(frozen=True, slots=True)
class JudgeFailure:
    """The judge could not answer this request; other requests of the batch may have answers."""

    why: str
    outage: bool = False
    """True for an outage as in JudgeUnavailableError; False if the answer was nonsense or the request was refused."""
    retry_after: float | None = None
    garbled: bool = False
    """The answer had another shape than was asked for, as if something other than the judge had answered."""


class Judge(Protocol):
    name: str
    version: str
    needs_reference: bool
    """Whether a question has to have a ground truth or a reference."""

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
        """Returns one answer per request, in order. Blocking; callers run it in a thread.

        Raises JudgeUnavailableError if an outage left every request without an answer, and ValueError if a question has
        nothing to judge by.
        """
        ...

    def prefix_hit_rate(self) -> float | None:
        """Returns the fraction of prompt tokens since the last call that were in the prefix cache; None if unknown."""
        ...

    def close(self) -> None: ...
