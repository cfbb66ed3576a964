"""What a judge needs of a language model: the next word's distribution, or samples, after a prompt."""

from collections.abc import Sequence
from typing import Protocol

from workers.judges.base import JudgeFailure
from workers.judges.judging_scheme import Voting
from workers.judges.prompt import JudgePrompt
from workers.judges.verdicts import VerdictProbabilities


class VerdictModel(Protocol):
    name: str

    def version(self, tag: str) -> str:
        """Of the judge that this model is with a form of that tag."""
        ...

    def read(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None
    ) -> list[VerdictProbabilities | JudgeFailure]:
        """The masses of each prompt's verdict words, in order; every reading is usable. Prompts that are too long for
        the model lose the middle of their untrusted fields, of `max_field_chars` characters at most.
        """
        ...

    def vote(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting
    ) -> list[VerdictProbabilities | JudgeFailure]:
        """The same from samples. Raises NotImplementedError where the model does not sample."""
        ...

    def prefix_hit_rate(self) -> float | None: ...

    def close(self) -> None: ...
