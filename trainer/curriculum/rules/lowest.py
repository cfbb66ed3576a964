"""`lowest`: the prompts that score lowest (arXiv 2503.22230, section 3.2, "Pre-PPO prompt selection").

The paper scores every new prompt with the reward model, normalises within each domain, because the domains' scores are
spread differently, and keeps the lowest share of the new prompts; 10 % was best. It does not say how it normalises, so
both usual ways are here. The score is the mean of the prompt's posterior, so the rule follows what training has changed
since.

Use it if high scores are suspect: the paper's high scorers were the ones that had learned to please the judge. With a
verifier, the lowest scores are the prompts that the policy cannot do at all, and `informative` spends rollouts better.
"""

from typing import ClassVar, Literal

from sqlalchemy import ColumnElement, func

from trainer.curriculum.rules.base import CandidateColumns, RankedCandidate, SelectionRule


class Lowest(SelectionRule):
    name: ClassVar[str] = "lowest"
    source: ClassVar[str] = "arXiv 2503.22230, section 3.2"

    normalise: Literal["rank", "zscore"] = "rank"
    """How scores are made comparable between domains. By rank, every domain keeps the same fraction, however its scores
    are spread; by z-score, a domain with a tail of low scores keeps more."""

    @property
    def by_domain(self) -> bool:
        return self.normalise == "rank"

    @property
    def uses_domain_moments(self) -> bool:
        return self.normalise == "zscore"

    def value(self, candidate: CandidateColumns) -> ColumnElement[float]:
        if self.normalise == "rank":
            return candidate.mean
        deviation = func.nullif(candidate.domain_deviation, 0)
        return func.coalesce((candidate.mean - candidate.domain_mean) / deviation, 0)

    def describe(self, candidate: RankedCandidate) -> str:
        zscore = "" if self.normalise == "rank" else f", z-score {candidate.value:.3f} in its domain"
        return f"mean score {candidate.mean:.3f}{zscore}"
