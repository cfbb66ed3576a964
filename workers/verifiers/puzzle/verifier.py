"""Logic and puzzles: entries of reasoning-gym's sets, judged by form where one answer is right, else by the rules.

Invariant: right is exact, there is no partial score, and nothing of the response is evaluated. The package itself is
not needed: an entry carries what its judgement needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import NoAnswerError
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.base import Signed, Verdict
from workers.verifiers.puzzle.catalogue import CHECKERS, ONE_ANSWER, REFUSED
from workers.verifiers.puzzle.checking import Checker, EntryError, MissingDataError
from workers.verifiers.puzzle.committed import Committed, committed
from workers.verifiers.puzzle.forms import Form, FormError, line


@dataclass(frozen=True, slots=True)
class Test:
    fault: Callable[[str], str | None]
    """Why an answer is wrong, or None. Raises FormError, EntryError, MissingDataError."""
    free: bool = False
    """It takes any text for an answer."""
    several: bool = False
    """Many answers are right, so that two right ones may still differ."""


class PuzzleVerifier(Signed):
    name = "puzzle"
    version = "1"
    policy = (
        "Entries of reasoning-gym's sets. Only what stands after the reasoning block counts: every <answer> tag, "
        "\\boxed{} and `the answer is x`, all of which must agree; without any, the whole text must be the answer. "
        "Sets with one right answer are compared exactly after layout; for the others every answer that keeps the "
        "question's rules is right, shortest only where the question asks for it. No partial score; hedged answers "
        "are wrong."
    )
    options: ClassVar[Mapping[str, str]] = {
        "dataset": (
            "the set's name (default: entry.metadata.source_dataset). Compared with the reference: "
            f"{', '.join(sorted(ONE_ANSWER))}. Judged by the rules: {', '.join(sorted(CHECKERS))}"
        ),
        "entry": (
            "reasoning-gym's entry: {question, answer, metadata}. Sets judged by the rules need its metadata and no "
            "reference; the others need a reference, or its answer"
        ),
    }

    def verify(self, question: Question, response: str) -> Verdict:
        try:
            test = _test(question)
        except EntryError as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))
        try:
            found = committed(after_reasoning(response))
            answers = _answers(found, test)
            fault = next(filter(None, map(test.fault, answers)), None)
        except (NoAnswerError, FormError) as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        except (EntryError, MissingDataError) as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))
        if fault or (test.several and len({line(answer) for answer in answers}) > 1):
            return self._verdict(0.0, Status.WRONG, fault or "the answers differ from each other")
        return self._verdict(1.0, Status.CORRECT, f"{line(answers[-1])[:80]!r} is right")


def _test(question: Question) -> Test:
    """The entry's test. Raises EntryError."""
    entry = question.options.get("entry") or {}
    if not isinstance(entry, Mapping):
        raise EntryError(f"options.entry is an object with question, answer and metadata, got {type(entry).__name__}")
    metadata = entry.get("metadata") or {}
    name = question.options.get("dataset") or (isinstance(metadata, Mapping) and metadata.get("source_dataset"))
    if isinstance(name, str) and name in CHECKERS:
        return _by_the_rules(CHECKERS[name], metadata)
    if isinstance(name, str) and name in ONE_ANSWER:
        return _by_the_answer(ONE_ANSWER[name], _gold(question, entry))
    reason = f" ({REFUSED[str(name)]})" if str(name) in REFUSED else ""
    known = ", ".join(sorted([*ONE_ANSWER, *CHECKERS]))
    raise EntryError(f"options.dataset {name!r} is not judged here{reason}; these are: {known}")


def _by_the_rules(checker: Checker[Any], metadata: Any) -> Test:
    """Raises EntryError."""
    facts = checker.read_facts(metadata)
    return Test(lambda answer: checker.test(answer, facts), several=True)


def _by_the_answer(form: Form, gold: str) -> Test:
    """Raises EntryError."""
    try:
        right = form.read(gold)
    except FormError as error:
        raise EntryError(f"the reference {gold[:80]!r} is not {form.says}: {error}") from error

    def fault(answer: str) -> str | None:
        same = form.same(right, form.read(answer))
        return None if same else f"{line(answer)[:80]!r} is not the right answer"

    return Test(fault, free=form.free)


def _gold(question: Question, entry: Mapping[str, Any]) -> str:
    """Raises EntryError."""
    own = entry.get("answer")
    given = [str(answer) for answer in (question.ground_truth, own) if answer is not None and str(answer).strip()]
    if not given:
        raise EntryError("the entry has no right answer: set the reference, or options.entry.answer")
    if len({line(answer) for answer in given}) > 1:
        raise EntryError(f"the reference {given[0][:60]!r} and options.entry.answer {given[1][:60]!r} differ")
    return given[-1]


def _answers(found: Committed, test: Test) -> list[str]:
    """All that the response commits to. Beside a mark, `the answer is` counts only where an answer follows it."""
    if found.whole:
        return [found.whole]
    answers = list(found.marked)
    for first_line, rest in found.said:
        order = (first_line or rest,) if test.free else (rest, first_line)
        read = next((text for text in order if _reads(test, text)), None)
        if not found.marked or (read is not None and not test.free):
            answers.append(first_line or rest if read is None else read)
    return answers


def _reads(test: Test, text: str) -> bool:
    try:
        test.fault(text)
    except FormError:
        return False
    return True
