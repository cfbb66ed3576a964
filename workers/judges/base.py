"""The one interface to generative judges (GenRM): is the candidate as good as the reference?

Score = P(YES) / (P(YES) + P(NO)), summed over spelling variants (arXiv 2503.22230 and Seed1.5-Thinking). The mass
that went to neither is reported as `uncovered`. A judge that cannot answer raises `JudgeUnavailableError`; there is no
score that means "the judge failed".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.messages import Question


class JudgeUnavailableError(RuntimeError):
    """The judge did not answer: endpoint down, out of memory, nonsense returned. Worth a retry."""


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    question: Question
    response: str


@dataclass(frozen=True, slots=True)
class Judgement:
    score: float
    """In [0, 1]."""
    uncovered: float
    """Probability mass on neither YES nor NO."""
    why: str


class Judge(Protocol):
    name: str
    version: str

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement]:
        """One judgement a request, in order. Blocking; callers run it in a thread. Raises JudgeUnavailableError."""
        ...

    def close(self) -> None: ...
