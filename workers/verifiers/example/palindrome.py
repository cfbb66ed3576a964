"""A verifier of another package: copy this folder, rename it, `pip install` it, and name it in a prompt.

Invariant: a pure function of the question and the response; what the response does wrong scores 0, what the prompt does
wrong is `infra_error`.
"""

from collections.abc import Mapping
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import BaseVerifier, OptionsError, Verdict


class PalindromeVerifier(BaseVerifier):
    name = "palindrome"
    version = "1"
    policy = (
        "The text after any reasoning block must read the same backwards; only letters and digits count, without case. "
        "It needs min_letters of them."
    )
    options: ClassVar[Mapping[str, str]] = {"min_letters": "letters and digits needed at least (default 3)"}

    def judge(self, question: Question, response: str) -> Verdict:
        needed = question.options.get("min_letters", 3)
        if not isinstance(needed, int) or isinstance(needed, bool) or needed < 1:
            raise OptionsError(f"option min_letters must be an integer of 1 or more, not {needed!r:.80}")
        letters = [character for character in after_reasoning(response).casefold() if character.isalnum()]
        if len(letters) < needed:
            return self._verdict(0.0, Status.UNPARSEABLE, f"{len(letters)} letters are fewer than {needed}")
        if letters != letters[::-1]:
            return self._verdict(0.0, Status.WRONG, "does not read the same backwards")
        return self._verdict(1.0, Status.CORRECT, "reads the same backwards")
