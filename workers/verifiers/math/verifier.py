"""Mathematics: compares the values of the response's final answers with the ground truth.

Invariant: a response is right if every final answer after the reasoning equals the ground truth. Empty, hedged and
contradictory answers, and those beyond the limits, score 0 without being computed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from streams.messages import Question
from workers.verifiers.answers.final_answer import final_answers
from workers.verifiers.answers.grammar import Answer, Grammar
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError, flag
from workers.verifiers.math.answers import grammar
from workers.verifiers.math.expression_limits import LimitError
from workers.verifiers.math.expressions import Expression, read, read_gold, same
from workers.verifiers.math.literals import Verbatim, Words, verbatim
from workers.verifiers.math.notation import characters, latex

_DECIMAL_COMMA = re.compile(r"\s*(-?\d{1,30}),(\d{1,2}|\d{4,30})(?!\d)([^\d,]*)")
"""Three digits behind a comma are thousands."""
_OR = re.compile(r",?\s+or\s+")
_SHORT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_WHOLE = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class MathReference:
    value: Expression
    text: str
    """The ground truth as written."""
    prompt: str
    whole_answer: bool


class MathVerifier(AnswerVerifier[MathReference, str]):
    name = "math"
    version = "7"
    policy = (
        f"{POLICY} Without any of them the whole text must give one value, or conclude with one. Values are compared "
        "as mathematics; `3,5` is also read as 3.5. With whole_answer the response must be the number and nothing else."
    )
    options: ClassVar[Mapping[str, str]] = {
        "whole_answer": "if true, the response must be the number and nothing else (default false)"
    }
    unreadable = (LimitError,)

    def gold(self, question: Question) -> MathReference:
        value = _gold(question.ground_truth)
        if value is None:
            raise OptionsError(f"the ground truth {question.ground_truth!r} is not a mathematical expression")
        return MathReference(
            value, (question.ground_truth or "").strip(), question.prompt, flag(question.options, "whole_answer")
        )

    def prompt_fault(self, question: Question) -> str | None:
        """Most references are plain numbers, which are known to be read: a dataset has millions of them."""
        if not question.options and isinstance(question.ground_truth, str) and _SHORT.fullmatch(question.ground_truth):
            return None
        return super().prompt_fault(question)

    def grammar(self, gold: MathReference) -> Grammar[str]:
        return grammar(words=isinstance(gold.value, Words))

    def answers(self, gold: MathReference, text: str) -> list[Answer[str]]:
        if not gold.whole_answer:
            return final_answers(text, self.grammar(gold))
        text = text.replace("\N{MINUS SIGN}", "-")
        if not _WHOLE.fullmatch(text):
            raise NoAnswerError("the answer is not just a number")
        return [Answer((text,), 0, len(text), 0)]

    def fault(self, gold: MathReference, value: str) -> str | None:
        """Returns why the value is wrong, or None. Raises LimitError, and NoAnswerError if it is not an expression."""
        if value.strip() == gold.text:
            return None
        found = verbatim(latex(value)) if isinstance(gold.value, Verbatim) else read(_strip_asked(value, gold.prompt))
        if found is None:
            raise NoAnswerError(f"{value[:80]!r} is not a mathematical expression")
        if same(gold.value, found) or self._is_decimal(gold, value) or self._is_given_twice(gold, value):
            return None
        return f"{value[:80]!r} is not the ground truth"

    def _is_decimal(self, gold: MathReference, value: str) -> bool:
        """Whether the reference is one number and the value is that with a decimal comma: `3,5`, but not `3,500`."""
        comma = _DECIMAL_COMMA.fullmatch(value)
        if comma is None or "," in gold.text:
            return False
        found = read(f"{comma[1]}.{comma[2]}{comma[3]}")
        return found is not None and same(gold.value, found)

    def _is_given_twice(self, gold: MathReference, value: str) -> bool:
        """Whether the value is the reference in two forms: `0.25, or 25%`."""
        parts = _OR.split(value)
        return len(parts) == 2 and all((own := read(part)) is not None and same(gold.value, own) for part in parts)


def _gold(text: str | None) -> Expression | None:
    """Reads the last final answer of a worked solution, or the text itself; None if it cannot be read."""
    if text is None or not text.strip():
        return None
    try:
        solution = "\\boxed" in text or "####" in text
        return read_gold(final_answers(text, grammar())[-1].readings[-1] if solution else characters(text))
    except (NoAnswerError, LimitError):
        return None


def _strip_asked(answer: str, prompt: str) -> str:
    """Returns the right side of `x^2 + 1 = 10` if the prompt asks for `x^2 + 1` and does not contain an equation for
    it; else the answer.
    """
    left, equals, right = answer.partition("=")
    name = _squeeze(left)
    if equals and right.strip() and "=" not in right and len(name) > 1 and not name.isdigit():
        given = _squeeze(prompt)
        if name in given and f"{name}=" not in given:
            return right
    return answer


def _squeeze(text: str) -> str:
    return re.sub(r"[\s$]|\\[()\[\]]", "", text)
