"""`skip`: prompts whose last groups had no spread are left out at random, the longer their run, the likelier.

GRESO (arXiv 2506.02177, code Infini-AI-Lab/GRESO) skips a prompt before its rollout with probability

    p_skip = 1 - max(p_e^z, 0.01),

z being the number of consecutive visits, up to the last, whose group was all right ("easy") or all wrong ("hard"), and
p_e a base rate for either kind. A prompt therefore comes back in the end, and one whose last group had a spread is
never skipped. GRESO adapts p_e while it trains towards a target share of groups without spread; here both are options,
since a rule has no state of its own. A run is counted in scores, in units of a group: `groups_without_spread`.

Use it with `keep_share = 1`, which lets in all that it does not skip. With less, the rule keeps that share, drawn with
probabilities in proportion to 1 - p_skip (Efraimidis and Spirakis, 2006).
"""

from typing import Annotated, ClassVar

from pydantic import Field
from sqlalchemy import ColumnElement, Float, case, func, literal

from trainer.curriculum.rules.base import CandidateColumns, RankedCandidate, SelectionRule

_LEAST = 0.01
"""Least probability of being kept, as in GRESO."""
_LONGEST = 100
"""Longest run that changes anything; a larger exponent would be an underflow error in Postgres."""


class Skip(SelectionRule):
    name: ClassVar[str] = "skip"
    source: ClassVar[str] = "GRESO, arXiv 2506.02177"

    easy: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Base rate p_e of prompts whose last groups were all right; GRESO's initial value."""
    hard: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Base rate p_e of prompts whose last groups were all wrong; GRESO's initial value."""

    def value(self, candidate: CandidateColumns) -> ColumnElement[float]:
        exponential: ColumnElement[float] = -func.ln(1 - candidate.uniform(self.name))
        return exponential / self._kept(candidate)

    def admits(self, candidate: CandidateColumns) -> ColumnElement[bool]:
        return candidate.uniform(self.name) < self._kept(candidate)

    def describe(self, candidate: RankedCandidate) -> str:
        easy = candidate.last > 0.5
        runs = candidate.groups_without_spread
        kept = max((self.easy if easy else self.hard) ** min(runs, _LONGEST), _LEAST)
        kind = "easy" if easy else "hard"
        row = f"{runs} groups without spread in a row ({kind})"
        return f"{row}, kept with probability {kept:.3f}, mean score {candidate.mean:.3f}"

    def _kept(self, candidate: CandidateColumns) -> ColumnElement[float]:
        base = case((candidate.last > 0.5, literal(self.easy, Float)), else_=literal(self.hard, Float))
        runs = func.least(candidate.groups_without_spread, _LONGEST)
        return func.greatest(func.power(base, runs), literal(_LEAST, Float))
