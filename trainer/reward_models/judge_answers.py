"""Asks any judge about triples: a generative one as the genrm stage asks it, or a Bradley-Terry model.

Invariant: an answer is a score in [0, 1] that is above 0.5 if the judge accepts the candidate, or the judge's failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.messages import Question
from trainer.reward_models.preferences import Turn
from trainer.reward_models.triples import LabelledCandidate
from workers.judges.base import Judge, JudgeFailure, Judgement
from workers.judges.bradley_terry_judge import to_judgement
from workers.judges.reward_model import Responses, RewardModel

Answer = Judgement | JudgeFailure


class AskedJudge(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def answers(self, candidates: Sequence[LabelledCandidate]) -> list[Answer]:
        """Returns one answer per candidate, in order. Raises JudgeUnavailableError if the judge is not reachable."""
        ...


@dataclass(frozen=True, slots=True)
class AskedGenRM:
    """A generative judge, in batches of the size that the genrm stage uses."""

    judge: Judge
    batch: int

    @property
    def name(self) -> str:
        return self.judge.name

    @property
    def version(self) -> str:
        return self.judge.version

    def answers(self, candidates: Sequence[LabelledCandidate]) -> list[Answer]:
        requests = [one.request for one in candidates]
        found: list[Answer] = []
        for start in range(0, len(requests), self.batch):
            found += self.judge.judge(requests[start : start + self.batch])
        return found


@dataclass(frozen=True, slots=True)
class AskedRewardModel:
    """A Bradley-Terry model: its score is the probability that the candidate is preferred to the reference."""

    model: RewardModel

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def version(self) -> str:
        return self.model.version

    def answers(self, candidates: Sequence[LabelledCandidate]) -> list[Answer]:
        groups = [Responses(_messages(one), (one.response, _shown(one.question))) for one in candidates]
        return [to_judgement(candidate, reference) for candidate, reference in self.model.rewards(groups)]


def _messages(one: LabelledCandidate) -> Sequence[Turn]:
    return one.messages or ({"role": "user", "content": one.question.prompt},)


def _shown(question: Question) -> str:
    return question.ground_truth if question.ground_truth is not None else question.references[0]
