"""Picks the best of N responses as references (arXiv 2503.22230: the best of N of the SFT model, by a Bradley-Terry
model), as a pure function.

Invariant: a reference has content, no two references of a prompt are the same text, and a response that was cut off is
picked only after every one that was not. Equal scores are ordered by the responses' ids, so the pick is the same every
time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.messages import Question
from workers.judges.base import JudgeRequest
from workers.judges.has_content import answered, no_answer


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    response_id: str
    text: str
    score: float
    """The Bradley-Terry model's; only the order of one prompt's responses counts."""
    cut_off: bool = False
    """The response ended at its token limit."""


def pick_references(prompt: str, responses: Sequence[ScoredResponse], keep: int) -> list[ScoredResponse]:
    """At most `keep` references, best first; empty if no response has content."""
    order = sorted(responses, key=lambda one: (one.cut_off, -one.score, one.response_id))
    best: dict[str, ScoredResponse] = {}
    for one in order:
        text = one.text.strip()
        if _has_content(prompt, text):
            best.setdefault(text, one)
    return list(best.values())[:keep]


def _has_content(prompt: str, text: str) -> bool:
    return no_answer(answered(JudgeRequest(Question(prompt=prompt), text))) is None
