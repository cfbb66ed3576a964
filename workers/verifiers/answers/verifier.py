"""The skeleton of every verifier that reads an answer and compares it with a reference.

Invariant: a prompt that cannot be judged is infra_error, whatever the response says; a response is right only if all
answers that it commits to are.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar, Generic, TypeVar

from streams.messages import ANSWER_DETAIL, Question, Status
from streams.wide_integers import pack
from workers.verifiers.answers.final_answer import final_answers
from workers.verifiers.answers.grammar import Answer, Grammar
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import BaseVerifier, OptionsError, Verdict

POLICY = (
    "Every \\boxed{}, <answer>, `#### x` and `the answer is x` after the reasoning block counts, and all of them must "
    "be right. What the writer corrects is replaced, and what they hedge, deny, ask or take back is not an answer."
)
"""How answers are read, for the user; each verifier's policy begins with it."""

_LONGEST_ANSWER = 400
"""Characters of an answer in a verdict's details, which travel with every scored rollout."""

_REFERENCES = 64
"""References that are kept as read: the responses of a group have one question, and few groups are judged at a time."""
_LONGEST_QUESTION = 20_000
"""Bytes of a question whose reference is kept; more are rare, and keeping them would take memory."""

Gold = TypeVar("Gold")
Value = TypeVar("Value")


class AnswerVerifier(BaseVerifier, ABC, Generic[Gold, Value]):
    """Reads the answers of a response and compares each with the reference.

    A subclass has a type for its reference (`Gold`) and one for its values (`Value`), and writes three methods: `gold`
    reads the prompt, `grammar` says what a value is, and `fault` says why a value differs from the reference.
    """

    unreadable: ClassVar[tuple[type[Exception], ...]] = ()
    """Exceptions by which its reading says that a response holds no value."""

    @abstractmethod
    def gold(self, question: Question) -> Gold:
        """Reads the reference and the options: a function of the question alone, whose result is never changed.

        Raises OptionsError if the prompt is wrong.
        """

    @abstractmethod
    def grammar(self, gold: Gold) -> Grammar[Value]:
        """Says what counts as a value."""

    @abstractmethod
    def fault(self, gold: Gold, value: Value) -> str | None:
        """Returns why a value is wrong, or None if it is right. Raises OptionsError if no value can be judged."""

    def answers(self, gold: Gold, text: str) -> list[Answer[Value]]:
        """Returns the answers of a text whose reasoning is removed. Raises NoAnswerError."""
        return final_answers(text, self.grammar(gold))

    def conflict(self, gold: Gold, found: list[Answer[Value]]) -> str | None:  # noqa: ARG002  none, unless a subclass says so
        """Returns why answers that are each right are wrong together, or None."""
        return None

    def judge(self, question: Question, response: str) -> Verdict:
        gold = self._reference(question)
        try:
            found = self.answers(gold, after_reasoning(response))
            for one in found:
                faults = [self.fault(gold, value) for value in one.readings]
                if all(faults):
                    return self._verdict(0.0, Status.WRONG, str(faults[0]), self._answer(one))
            conflict = self.conflict(gold, found)
        except self.unreadable as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        except NoAnswerError as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        except RecursionError:
            return self._verdict(0.0, Status.UNPARSEABLE, "the answer nests too deeply")
        if conflict is not None:
            return self._verdict(0.0, Status.WRONG, conflict, self._answer(found[-1]))
        details = self._answer(found[-1])
        return self._verdict(1.0, Status.CORRECT, f"{details[ANSWER_DETAIL][:80]!r} is right", details)

    def prompt_fault(self, question: Question) -> str | None:
        """Why no response to this prompt can be judged, or None: its reference is read, and not kept."""
        wrong = self._wrong_form(question)
        if wrong is not None:
            return wrong
        try:
            self.gold(question)
        except OptionsError as error:
            return str(error)
        return None

    def _reference(self, question: Question) -> Gold:
        """Returns what `gold` reads, or has read of the same question. Raises OptionsError."""
        try:
            key = pack(question)
        except (TypeError, ValueError, OverflowError, RecursionError):  # options that no message could carry
            return self.gold(question)
        if key in self._references:
            return self._references[key]
        gold = self.gold(question)
        if len(key) <= _LONGEST_QUESTION:
            if len(self._references) >= _REFERENCES:
                del self._references[next(iter(self._references))]
            self._references[key] = gold
        return gold

    @cached_property
    def _references(self) -> dict[bytes, Gold]:
        """The references by their question, the oldest first."""
        return {}

    def _answer(self, read: Answer[Value]) -> dict[str, str]:
        """The verdict's details: the answer that decided it."""
        return {ANSWER_DETAIL: self.shown(read.readings[-1])[:_LONGEST_ANSWER]}

    def shown(self, value: Value) -> str:
        """A value, for the verdict's reason."""
        return str(value)
