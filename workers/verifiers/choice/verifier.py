"""Multiple choice: the one label that a response commits to, against the reference's.

Invariant: right means that exactly one label is committed to, without doubt, and that it is the reference. A letter
that merely occurs commits to nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import CORRECTION, NoAnswerError, clean
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.retractions import taken_back
from workers.verifiers.base import Signed, Verdict
from workers.verifiers.choice.commitments import Commitment, commitments
from workers.verifiers.choice.labels import HedgedError, Labels, SeveralError

_FORMAT = re.compile(r"</?(?:b|strong|em|i|u|p)>|\\[()]|\$", re.IGNORECASE)
"""Tags and delimiters that only set a label off."""


class ChoiceVerifier(Signed):
    name = "choice"
    version = "2"
    policy = (
        "Only what stands after the reasoning block counts. Exactly one choice must be committed to: \\boxed{B}, "
        "<answer>B</answer>, `the answer is B`, `Answer: (B)`, `I choose B`, `B is correct`, or a line that is B or "
        "begins with `B)`, also in lower case where nothing else stands there; with texts also a choice's text. "
        "Answers that disagree are wrong, unless the first is taken back in words (`no, B`). Doubt (`maybe B`, "
        "`probably B`, `B?`), several choices (`A or B`), what is denied or taken back, and letters in prose are no "
        "answer. Boxes and statements of the answer outdo remarks and lists of the choices."
    )
    options: ClassVar[Mapping[str, str]] = {
        "choices": 'the labels: a string ("ABCD", the default), a list, or a mapping of label to text',
        "texts": "the choices' texts, as a mapping by label or a list in the labels' order; a text then answers too",
    }

    def verify(self, question: Question, response: str) -> Verdict:
        try:
            labels = _labels(question.options)
        except ValueError as error:
            return self._refused(f"options: {error}")
        gold = labels.gold(question.ground_truth or "")
        if gold is None:
            return self._refused(f"the ground truth {question.ground_truth!r} is none of {', '.join(labels.names)}")
        try:
            return self._compare(gold, committed(after_reasoning(response), labels), labels)
        except (SeveralError, HedgedError, NoAnswerError) as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))

    def _compare(self, gold: str, found: list[str], labels: Labels) -> Verdict:
        if len(found) > 1:
            return self._verdict(0.0, Status.WRONG, f"the answers disagree: {', '.join(found)}")
        answer = labels.name_of(found[0])
        if answer is None:
            return self._verdict(0.0, Status.WRONG, f"{found[0]} is none of {', '.join(labels.names)}")
        if answer != gold:
            return self._verdict(0.0, Status.WRONG, f"{answer} is not the ground truth")
        return self._verdict(1.0, Status.CORRECT, f"{answer} is the ground truth")


def committed(text: str, labels: Labels) -> list[str]:
    """The different labels that the strongest form of commitment gives.

    Raises NoAnswerError, SeveralError, HedgedError.
    """
    text = _FORMAT.sub("", clean(text))
    if not text:
        raise NoAnswerError("nothing stands after the reasoning")
    found = commitments(text, labels)
    if not found:
        raise NoAnswerError("no choice is committed to")
    kept = list(_strongest(_uncorrected(text, found)))
    doubtful = next((one for one in kept if one.doubt), None)
    if doubtful is not None:
        raise doubtful.doubt or HedgedError("the answer is hedged")
    if taken_back(text, max(one.position for one in kept)):
        raise NoAnswerError("the answer is taken back")
    return list(dict.fromkeys(labels.name_of(one.label) or one.label for one in kept))


def _uncorrected(text: str, found: list[Commitment]) -> list[Commitment]:
    """What stands after the last correction, where something does."""
    for match in reversed(list(CORRECTION.finditer(text))):
        later = [one for one in found if one.position >= match.start()]
        if later:
            return later
    return found


def _strongest(found: list[Commitment]) -> Iterator[Commitment]:
    """Boxes do not excuse a statement that disagrees; both excuse lines and remarks."""
    best = max(one.strength for one in found)
    return (one for one in found if one.strength >= min(best, 2))


def _labels(options: Mapping[str, Any]) -> Labels:
    """Raises ValueError."""
    return Labels(options.get("choices", "ABCD"), options.get("texts"))
