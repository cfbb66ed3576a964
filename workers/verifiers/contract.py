r"""Tests that every verifier passes: the test module of your own verifier inherits one of these classes.

Invariant: the tests are pure (no broker, no database) and need nothing but the verifier; a class that inherits one and
is called `Test...` is run by pytest as it is. `workers/verifiers/example` has the shortest use.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Configured, Verdict, Verifier, is_sandboxed, prompt_fault

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Example:
    """A response to a prompt and the score that it must get; with None, the prompt is the contract's `question`."""

    response: str
    score: float
    question: Question | None = None


class VerifierContract:
    """Set the five attributes. A verifier with `sandboxed = True` is given the sandbox's time budget."""

    verifier: ClassVar[Verifier]
    question: ClassVar[Question]
    right: ClassVar[str]
    """A response to the question that scores 1."""
    wrong_prompts: ClassVar[Sequence[Question]]
    """Questions by which no response can be judged: a missing or wrong reference, a wrong value of an option."""
    policy: ClassVar[Mapping[str, Sequence[Example]]]
    """Examples per sentence of the verifier's policy. A key is the beginning of one sentence, and each sentence needs
    a key. `reading_examples` covers the sentences of the shared POLICY (answers/verifier.py).
    """

    @classmethod
    def setup_class(cls) -> None:
        if isinstance(cls.verifier, Configured):
            cls.verifier.configure(RtvSettings())

    def test_a_right_answer_scores_1(self) -> None:
        found = self._judge(self.right)
        assert found.score == 1.0, found.why
        assert (found.scorer, found.version) == (self.verifier.name, self.verifier.version)

    def test_nothing_and_reasoning_alone_score_0(self) -> None:
        for response in ("", " ", "\n\n", "\u200b", f"<think>{self.right}</think>", f"<think>{self.right}"):
            assert self._judge(response).score == 0.0, response

    def test_a_wrong_prompt_is_infra_error_whatever_the_response_says(self) -> None:
        unknown = msgspec.structs.replace(self.question, options={**self.question.options, "no_such_option": 1})
        number = msgspec.structs.replace(self.question, ground_truth=5)
        for question in (unknown, number, *self.wrong_prompts):
            for response in (self.right, "", "no"):
                found = self._judge(response, question)
                assert (found.score, found.status) == (None, Status.INFRA_ERROR), (question, response, found)
                assert found.why, question
        assert "no_such_option" in self._judge(self.right, unknown).why

    def test_a_prompt_is_found_wrong_without_a_response_exactly_if_none_can_be_judged(self) -> None:
        assert prompt_fault(self.verifier, self.question) is None
        unknown = msgspec.structs.replace(self.question, options={**self.question.options, "no_such_option": 1})
        for question in (unknown, *self.wrong_prompts):
            assert prompt_fault(self.verifier, question), question

    def test_a_mebibyte_is_judged_in_time(self) -> None:
        settings = RtvSettings()
        budget = settings.sandbox.budget_seconds if is_sandboxed(self.verifier) else settings.timeout_seconds
        limit = 4 * budget  # a busy machine is slower by that; a quadratic search takes minutes
        for piece in ("the answer is not ", "\\boxed{", "a ", "(", "<answer>", "no, ", "\n- 1", "$"):
            filler = piece * (_MEBIBYTE // len(piece))
            for response in (filler + self.right, self.right + filler):
                for size in (_MEBIBYTE, 90_000):
                    started = time.process_time()
                    found = self._judge(response[:size])
                    assert time.process_time() - started < limit, (piece, size)
                    assert found.score is not None, (piece, found.why)

    def test_each_sentence_of_the_policy_has_an_example(self) -> None:
        sentences = _SENTENCE.split(self.verifier.policy)
        for sentence in sentences:
            beginnings = [own for own in self.policy if sentence.startswith(own)]
            assert len(beginnings) == 1, f"`policy` needs exactly one key that begins {sentence!r}; it has {beginnings}"
            for example in self.policy[beginnings[0]]:
                found = self._judge(example.response, example.question)
                assert found.score == example.score, (sentence, example, found.why)
        assert len(self.policy) == len(sentences), "a key of `policy` begins no sentence"

    def test_each_option_has_a_meaning(self) -> None:
        assert all(meaning.strip() for meaning in self.verifier.options.values())

    def _judge(self, response: str, question: Question | None = None) -> Verdict:
        return self.verifier.verify(question or self.question, response)


STANDS = [
    *("The answer is {a}.", "\\boxed{{{a}}}", "<answer>{a}</answer>", "<answer>{a}", "Answer: {a}", "#### {a}"),
    *(
        "The result is {a}",
        "<answer>The answer is {a}</answer>",
        "**Answer:** {a}",
        "The final answer is:\n\n\\[\n\\boxed{{{a}}}\n\\]",
        "<answer>{a}\u200b</answer>",
    ),
    "\\boxed{{{b}}} no, \\boxed{{{a}}}",
    "The answer is {b}. Wait, no, it is {a}.",
    "\\boxed{{{b}}}. Actually, {a}.",
    "The answer is \\boxed{{{b}}}. I made a mistake, it is {a}.",
    "Maybe it is {b}? No. I was not sure at first. The answer is {a}.",
    "It might be {b}, but the answer is {a}.",
    "I will put it in \\boxed{{}}.\n\n\\boxed{{{a}}}",
    "\\boxed{{{a}}}\n\nThis could be checked by hand; others find {b}, and that is wrong.",
    "There is no doubt the answer is {a}.",
    "The other one is wrong so the answer is {a}",
    "It cannot be less than that, so the answer is {a}.",
    "Some are false, hence the answer is {a}",
    "If we add them up, the answer is {a}.",
    "The answer is {a}. Others give something else, and that is wrong.",
    "The answer is {a}. I was wrong to hesitate.",
    "Therefore the answer is {a}. Never mind the rest.",
    "The answer is {b}. Actually, one thing was missing, so {a}.",
    *("{b}. No: {a}", "The answer is {b}. No: {a}", "The answer is {b}. I meant {a}.", "The answer is {b}. Wait, {a}"),
    *(
        "The answer is {b}.\n\nCorrection: {a}",
        "The answer is {b} (correction: {a})",
        "\\boxed{{{b}}}. Scratch that: {a}",
    ),
    *("{a}. Check: 2*2 = 4", "{a} (check: 2*2 = 4)", "{a}, which we verify: 2*2 = 4"),
    *("The answer is {a}. Sanity check: 2*2 = 4.", "The answer is {a}, which we verify: 2*2 = 4, so it works."),
    *("The answer is {a}. Indeed, 2*2 = 4.", "The answer is {a}. Plugging it back in gives 2*2 = 4."),
    "The answer is {b}, but the check fails. The answer is {a}.",
]
"""Responses that commit to the answer a, not to b."""
FALLS = [
    *(
        "It is probably \\boxed{{{a}}}.",
        "It is not \\boxed{{{a}}}",
        "I am not sure: \\boxed{{{a}}}",
        "\\boxed{{{a}}} is wrong.",
    ),
    *(
        "I think it is \\boxed{{{a}}}, but I am not sure.",
        "\\boxed{{{a}}} or maybe {b}",
        "Not <answer>{a}</answer>",
        "<answer>The answer is not {a}</answer>",
    ),
    *("The answer is {a}. Wait, no, it is {b}.", "\\boxed{{{a}}}. Actually, {b}.", "Maybe <answer>{a}</answer>"),
    *("The answer is \\boxed{{{a}}}. I made a mistake, it is {b}.", "The answer is {a}, which is wrong."),
    *("\\boxed{{{a}}} or {b}", "The answer is {a} or {b}.", "The answer is \\boxed{{{a}}}. The answer is {b}."),
    *("\\boxed{{{a}}}?", "\\boxed{{{a}}}. Hmm, I was wrong.", "The answer is not {a}.", "The answer is probably {a}"),
    *("I doubt the answer is {a}", "It is false that the answer is {a}", "It is unlikely that the answer is {a}."),
    *(
        "I don't think the answer is {a}",
        "If the answer is {a}",
        "Unless the answer is {a}, I lose.",
        "Suppose the answer is {a}",
    ),
    *("Whether the answer is {a} is unclear.", "Nobody would say the answer is {a}", "Some say the answer is {a}"),
    *(
        "The wrong answer is {a}",
        "My incorrect answer is {a}",
        "The previous answer was {a}",
        "The answer is never {a}",
    ),
    *(
        "The answer is certainly not {a}",
        "The answer isn't {a}",
        "The answer is far from {a}",
        "The answer is anything but {a}",
    ),
    *("The answer: {a}?", "The answer is {a}. That is wrong.", "The answer is {a}. Oh no, that was a mistake."),
    *("The answer is {a}. No, scratch that.", "The answer is {a}. I have made a mistake."),
    *("Everything except {a}", "Anything but {a}.", "The answer is everything except {a}.", "It is other than {a}"),
    *("If it isn't {b}, the answer is {a}.", "If not {b}, the answer is {a}.", "If that is wrong, the answer is {a}"),
    "The answer would be {a} if it held, but it does not.",
    "The answer would be {a} if we had more.",
    "The answer is {a}. Actually, one more is missing, so {b}.",
    *("{a}. No: {b}", "The answer is {a}. No: {b}", "The answer is {a}. I meant {b}.", "The answer is {a}. Wait, {b}"),
    *(
        "The answer is {a}.\n\nCorrection: {b}",
        "The answer is {a} (correction: {b})",
        "\\boxed{{{a}}}. Scratch that: {b}",
    ),
    *(
        "The answer is {a}. Check: the answer is {b}.",
        "{a}. Check: 2*2 = 5. The check fails.",
        "The answer is {a}? Check: 2*2 = 4",
    ),
    *("The answer is {a}. We verify: 2*2 = 5. The check fails.", "{b}. Check: {a}", "Is it {a}? Check: 2*2 = 4."),
]
"""Responses that do not commit to the answer a: it is hedged, denied, taken back or contradicted."""


class AnswerContract(VerifierContract):
    """For a verifier that reads a final answer. `right` is the bare answer, as it may occur in a sentence."""

    other: ClassVar[str]
    """Another answer, which is wrong."""

    def test_only_an_answer_that_its_writer_stands_by_counts(self) -> None:
        wrong = []
        for score, rows in ((1.0, STANDS), (0.0, FALLS)):
            for row in rows:
                for template in _templates(row):
                    response = template.format(a=self.right, b=self.other)
                    found = self._judge(response)
                    if found.score != score:
                        wrong.append(f"{response!r} scores {found.score}, not {score}: {found.why}")
        assert not wrong, "\n".join(wrong)


_READING = {
    "Every \\boxed{}": [
        Example("\\boxed{{{a}}}", 1.0),
        Example("<answer>{a}</answer>", 1.0),
        Example("#### {a}", 1.0),
        Example("The answer is {a}.", 1.0),
        Example("<think>The answer is {b}.</think>The answer is {a}.", 1.0),
        Example("The answer is {b}. \\boxed{{{a}}}", 0.0),
    ],
    "What the writer corrects": [
        Example("The answer is {b}. No, the answer is {a}.", 1.0),
        Example("The answer is probably {a}.", 0.0),
        Example("The answer is not {a}.", 0.0),
        Example("The answer is {a}?", 0.0),
        Example("The answer is {a}. No, scratch that.", 0.0),
    ],
}


def reading_examples(right: str, other: str, question: Question | None = None) -> dict[str, list[Example]]:
    """Examples of the shared POLICY's sentences, for the `policy` of a contract class: `**reading_examples("5", "6")`.

    `other` is a wrong answer.
    """
    return {
        beginning: [Example(own.response.format(a=right, b=other), own.score, question) for own in examples]
        for beginning, examples in _READING.items()
    }


def _templates(row: str) -> list[str]:
    """Returns the row, and the same with a box or a tag around an answer that prose announces."""
    if "{{" in row or "<answer>" in row or "answer" not in row:
        return [row]
    return [row, row.replace("{a}", "$\\boxed{{{a}}}$"), row.replace("{a}", "<answer>{a}</answer>")]


def asked(question: Question, **options: object) -> Question:
    """The question with further options."""
    return msgspec.structs.replace(question, options={**question.options, **options})


def without_reference(question: Question) -> Question:
    return msgspec.structs.replace(question, ground_truth=None)
