"""Instruction following: IFEval's, IFBench's and Rewardstream's own checkers must all pass, after the vetoes.

Invariant: a response is judged strictly: as it is after the reasoning block. A prompt with wrong options is
infra_error, never a reward.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.words import words
from workers.verifiers.base import BaseVerifier, Verdict
from workers.verifiers.instructions.benchmarks import REGISTRY, ArgumentsError, follows
from workers.verifiers.instructions.checkers import CHECKERS
from workers.verifiers.instructions.vetoes import VETO_OPTIONS, veto

MAX_TEXT = 100_000
"""Most characters after the reasoning: splitting into sentences takes quadratic time on text without a blank."""


class InstructionVerifier(BaseVerifier):
    name = "instructions"
    version = "4"
    policy = (
        "Every instruction of instruction_id_list must be followed by the text after any reasoning block, in IFEval's "
        "strict sense, and in its whole wording even if the benchmark's checker tests only a part; a text "
        "without a word follows none. Echoes of the prompt, repeats and short texts are vetoed "
        "if the options forbid_echo, forbid_repeats and min_words ask for it."
    )
    options: ClassVar[Mapping[str, str]] = {
        "instruction_id_list": "names of instructions, as IFEval and IFBench write them",
        "kwargs": "one mapping per instruction; values of null are left out (default: none)",
        **VETO_OPTIONS,
    }

    def judge(self, question: Question, response: str) -> Verdict:
        ids = question.options.get("instruction_id_list") or ()
        text = after_reasoning(response)
        try:
            given = _read_arguments(question, ids)
            if len(text) > MAX_TEXT:
                why = f"{len(text)} characters are more than {MAX_TEXT}"
                return self._verdict(0.0, Status.UNPARSEABLE, why)
            if not words(text):
                return self._verdict(0.0, Status.UNPARSEABLE, "the answer holds no word")
            vetoed = veto(question.options, question.prompt, text)
            if vetoed:
                return self._verdict(0.0, Status.WRONG, vetoed)
            failed = [name for name, own in zip(ids, given, strict=True) if not _follows(name, own, question, text)]
        except ArgumentsError as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))
        if failed:
            return self._verdict(0.0, Status.WRONG, f"not followed: {', '.join(failed)}")
        return self._verdict(1.0, Status.CORRECT, f"followed: {', '.join(ids)}")


def _read_arguments(question: Question, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Returns one mapping per instruction. Raises ArgumentsError."""
    given = question.options.get("kwargs") or [{}] * len(ids)
    if not ids or len(ids) != len(given):
        raise ArgumentsError(
            f"options need instruction_id_list and as many kwargs; {len(ids)} ids, {len(given)} kwargs"
        )
    unknown = [name for name in ids if name not in CHECKERS and name not in REGISTRY]
    if unknown:
        raise ArgumentsError(f"unknown instructions: {', '.join(unknown)}")
    if not all(isinstance(own, Mapping) for own in given):
        raise ArgumentsError("options need kwargs as one mapping per instruction")
    return [_drop_absent(own) for own in given]


def _drop_absent(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Removes arguments that do not apply: the data sets' columns hold every argument of every instruction, None if it
    does not apply, and whole numbers as 5.0.
    """
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in arguments.items()
        if value is not None
    }


def _follows(name: str, arguments: Mapping[str, Any], question: Question, text: str) -> bool:
    """Whether the text follows one instruction. Raises ArgumentsError."""
    checker = CHECKERS.get(name)
    if checker is None:
        return follows(name, arguments, question.prompt, text)
    try:
        return checker(text, **arguments)
    except (TypeError, ValueError) as error:
        raise ArgumentsError(f"{name} with kwargs {dict(arguments)}: {error}") from error
