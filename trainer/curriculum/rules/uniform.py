"""`uniform`: a share drawn at random, whatever the prompts scored.

It is the control that every other rule is compared with, and the paper's finding about unselected prompts needs it: it
reports that adding 5 million of them brought nothing (arXiv 2503.22230, section 3.2). The draw is a function of the
seed, the round and the prompt's id.
"""

from typing import ClassVar

from sqlalchemy import ColumnElement

from trainer.curriculum.rules.base import CandidateColumns, RankedCandidate, SelectionRule


class Uniform(SelectionRule):
    name: ClassVar[str] = "uniform"
    source: ClassVar[str] = "the control; it has none"

    redraw: bool = True
    """Whether each round draws again; if not, a prompt that is in stays in."""

    def value(self, candidate: CandidateColumns) -> ColumnElement[float]:
        return candidate.uniform(self.name, every_round=self.redraw)

    def describe(self, candidate: RankedCandidate) -> str:
        return f"drawn {candidate.value:.3f} of [0, 1)"
