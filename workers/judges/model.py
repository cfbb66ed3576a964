"""The interface of a judge's language model: the next word's distribution, or samples, after a prompt."""

from collections.abc import Sequence
from typing import Protocol

from workers.judges.base import JudgeFailure
from workers.judges.judging_scheme import Voting
from workers.judges.prompt import JudgePrompt
from workers.judges.verdicts import VerdictProbabilities


class VerdictModel(Protocol):
    name: str

    def version(self, tag: str) -> str:
        """Returns the version of the judge that uses this model with the judging scheme of that tag."""
        ...

    def read(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None
    ) -> list[VerdictProbabilities | JudgeFailure]:
        """Returns the masses of each prompt's verdict words, in order; all of them are usable. Untrusted fields are cut
        to `max_field_chars` characters, and further if a prompt is too long for the model; they lose their middle.
        """
        ...

    def vote(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting
    ) -> list[VerdictProbabilities | JudgeFailure]:
        """The same as `read`, from samples. Raises NotImplementedError if the model does not sample."""
        ...

    def prefix_hit_rate(self) -> float | None: ...

    def close(self) -> None: ...
