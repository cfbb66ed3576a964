"""Mathematics: the response's final answers against the ground truth, by value.

Invariant: right means that every final answer after the reasoning equals the ground truth. What is empty, hedged,
contradictory or beyond the limits scores 0 without being computed.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import NoAnswerError
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import Signed, Verdict
from workers.verifiers.math.answers import final_answers
from workers.verifiers.math.expressions import Expression, read, read_gold, same
from workers.verifiers.math.limits import LimitError
from workers.verifiers.math.literals import Verbatim, Words, verbatim
from workers.verifiers.math.notation import characters, latex

_WHOLE = re.compile(r"-?\d+(?:\.\d+)?")


class MathVerifier(Signed):
    name = "math"
    version = "3"
    policy = (
        "Only what stands after the reasoning block counts. Every \\boxed{}, `#### x` and `the answer is x` must agree "
        "and equal the ground truth by value; without any of them the whole text must give one value. Hedged, empty or "
        "contradictory answers are wrong. With whole_answer the response must be the number and nothing else."
    )
    options: ClassVar[Mapping[str, str]] = {
        "whole_answer": "true: the response must be the number and nothing else (default false)"
    }

    def verify(self, question: Question, response: str) -> Verdict:
        gold = self._gold(question.ground_truth)
        if gold is None:
            return self._refused(f"the ground truth {question.ground_truth!r} is no mathematical expression")
        text = after_reasoning(response)
        try:
            if question.options.get("whole_answer"):
                if not _WHOLE.fullmatch(text.replace("\N{MINUS SIGN}", "-")):
                    return self._verdict(0.0, Status.UNPARSEABLE, "the answer is not just a number")
                answers = [text.replace("\N{MINUS SIGN}", "-")]
            else:
                answers = final_answers(text, words=isinstance(gold, Words))
            return self._compare(gold, answers, question)
        except (NoAnswerError, LimitError) as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        except RecursionError:
            return self._verdict(0.0, Status.UNPARSEABLE, "the answer nests too deeply")

    def _compare(self, gold: Expression, answers: list[str], question: Question) -> Verdict:
        """Raises LimitError."""
        own_text = (question.ground_truth or "").strip()
        for answer in dict.fromkeys(answers):
            if answer.strip() == own_text:
                continue
            value = verbatim(latex(answer)) if isinstance(gold, Verbatim) else read(_asked(answer, question.prompt))
            if value is None:
                return self._verdict(0.0, Status.UNPARSEABLE, f"{answer[:80]!r} is no mathematical expression")
            if not same(gold, value):
                return self._verdict(0.0, Status.WRONG, f"{answer[:80]!r} is not the ground truth")
        return self._verdict(1.0, Status.CORRECT, f"{answers[-1][:80]!r} equals the ground truth")

    def _gold(self, text: str | None) -> Expression | None:
        """The last final answer of a worked solution, or the text itself."""
        if text is None or not text.strip():
            return None
        try:
            return read_gold(final_answers(text)[-1] if "\\boxed" in text or "####" in text else characters(text))
        except (NoAnswerError, LimitError):
            return None


def _asked(answer: str, prompt: str) -> str:
    """`x^2 + 1 = 10` answers with 10 where the prompt asks for `x^2 + 1`; an equation of the prompt is none."""
    left, equals, right = answer.partition("=")
    name = _squeezed(left)
    if equals and right.strip() and "=" not in right and len(name) > 1 and not name.isdigit():
        given = _squeezed(prompt)
        if name in given and f"{name}=" not in given:
            return right
    return answer


def _squeezed(text: str) -> str:
    return re.sub(r"[\s$]|\\[()\[\]]", "", text)
