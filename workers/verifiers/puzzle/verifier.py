"""Logic and puzzles: judges entries of reasoning-gym's sets by form if one answer is right, else by the rules.

Invariant: an answer is exactly right or wrong, there is no partial score, and no part of the response is evaluated. The
package itself is not needed, since an entry contains what its judgement needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.grammar import Answer, Grammar
from workers.verifiers.answers.markup import enclosed, latex_text
from workers.verifiers.answers.normalisation import INVISIBLE
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError, Verdict
from workers.verifiers.puzzle.catalogue import CHECKERS, ONE_ANSWER, REFUSED, form_of
from workers.verifiers.puzzle.checking import Checker, EntryError, MissingDataError
from workers.verifiers.puzzle.forms import Form, FormError, line

_FENCE = re.compile(r"```[^\n`]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_EMPHASIS = re.compile(r"(\*\*|__|`|\$)(?=\S)(.+)(?<=\S)\1", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
_TESTED = 4
"""Answers whose test is kept: the same text is tested when it is found and when it is judged."""
_EMPHASISED = ("*", "_", "`", "$")
"""First characters of an emphasised text."""


@dataclass(frozen=True, slots=True)
class Test:
    fault: Callable[[str], str | None]
    """Returns why an answer is wrong, or None. Raises FormError, OptionsError, MissingDataError."""
    free: bool = False
    """Whether any text is an answer."""
    right: str = ""
    """The one right answer, as a line; empty if several answers are right."""
    several: bool = False
    """Whether many answers are right, so that two right ones may still differ."""


class PuzzleVerifier(AnswerVerifier[Test, str]):
    name = "puzzle"
    version = "5"
    policy = (
        f"{POLICY} Without any of them the whole text must be the answer, or conclude with it. Entries are of "
        "reasoning-gym's sets: those with one right answer are compared exactly, apart from layout; for the others "
        "every answer that keeps the question's rules is right, and must be the shortest only if the question asks for "
        "it. There is no partial score."
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

    unreadable = (FormError,)

    def judge(self, question: Question, response: str) -> Verdict:
        try:
            return super().judge(question, response)
        except MissingDataError as error:
            return self._verdict(None, Status.INFRA_ERROR, str(error))

    def gold(self, question: Question) -> Test:
        """Returns the entry's test. Raises OptionsError, MissingDataError."""
        try:
            return _make_test(question)
        except EntryError as error:
            raise OptionsError(str(error)) from error

    def grammar(self, gold: Test) -> Grammar[str]:
        def accepts(text: str) -> str | None:
            answer = _strip_format(text)
            return answer if gold.free or _is_readable(gold, answer) else None

        return Grammar(
            accepts,
            lambda text, _: _strip_format(text),
            literal=lambda text: bool(gold.right) and len(text) >= len(gold.right) and line(text) == gold.right,
            free=gold.free,
            verbatim=True,
            concludes=not gold.free,
        )

    def fault(self, gold: Test, value: str) -> str | None:
        """Returns why the answer is wrong, or None. Raises FormError, MissingDataError."""
        return gold.fault(value)

    def conflict(self, gold: Test, found: list[Answer[str]]) -> str | None:
        if gold.several and len({line(one.readings[0]) for one in found}) > 1:
            return "the answers differ from each other"
        return None

    def shown(self, value: str) -> str:
        return line(value)


def _make_test(question: Question) -> Test:
    """Returns the entry's test. Raises EntryError."""
    entry = question.options.get("entry")
    entry = {} if entry is None else entry
    if not isinstance(entry, Mapping):
        raise EntryError(f"options.entry is an object with question, answer and metadata, got {type(entry).__name__}")
    metadata = entry.get("metadata") or {}
    name = question.options.get("dataset") or (isinstance(metadata, Mapping) and metadata.get("source_dataset"))
    if isinstance(name, str) and name in CHECKERS:
        return _test_by_rules(CHECKERS[name], metadata)
    if isinstance(name, str) and name in ONE_ANSWER:
        asked = f"{question.prompt}\n{entry.get('question') or ''}"
        return _test_by_answer(form_of(name, asked), _find_gold(question, entry))
    reason = f" ({REFUSED[str(name)]})" if str(name) in REFUSED else ""
    known = ", ".join(sorted([*ONE_ANSWER, *CHECKERS]))
    raise EntryError(f"options.dataset {name!r} is not judged here{reason}; these are: {known}")


def _test_by_rules(checker: Checker[Any], metadata: Any) -> Test:
    """Makes the test of a set with many right answers. Raises EntryError."""
    facts = checker.read_facts(metadata)

    def fault(answer: str) -> str | None:
        try:
            return checker.test(answer, facts)
        except EntryError as error:
            raise OptionsError(str(error)) from error

    return Test(lru_cache(_TESTED)(fault), several=True)


def _test_by_answer(form: Form, gold: str) -> Test:
    """Makes the test of a set with one right answer. Raises EntryError."""
    try:
        right = form.read(gold if gold.isascii() else INVISIBLE.sub("", gold))
    except FormError as error:
        raise EntryError(f"the reference {gold[:80]!r} is not {form.says}: {error}") from error

    def fault(answer: str) -> str | None:
        same = form.same(right, form.read(answer)) or (form.free and form.same(right, form.read(_unquoted(answer))))
        return None if same else f"{line(answer)[:80]!r} is not the right answer"

    return Test(lru_cache(_TESTED)(fault), free=form.free, right=line(gold))


def _find_gold(question: Question, entry: Mapping[str, Any]) -> str:
    """Returns the right answer. Raises EntryError."""
    own = entry.get("answer")
    given = [str(answer) for answer in (question.ground_truth, own) if answer is not None and str(answer).strip()]
    if not given:
        raise EntryError("the entry has no right answer: set the reference, or options.entry.answer")
    if len(given) > 1 and line(given[0]) != line(given[1]):
        raise EntryError(f"the reference {given[0][:60]!r} and options.entry.answer {given[1][:60]!r} differ")
    return given[-1]


def _strip_format(text: str) -> str:
    """Removes formatting: one code fence, emphasis, `$`, LaTeX's text commands. Lines are kept."""
    text = text.strip("\n").rstrip()
    fence = _FENCE.fullmatch(text.strip()) if "```" in text else None
    text = latex_text(enclosed(fence.group(1) if fence else text))
    if text.lstrip()[:1] not in _EMPHASISED:
        return text
    while (bare := _EMPHASIS.fullmatch(text.strip())) and bare.group(1) not in bare.group(2):
        text = bare.group(2)
    return text


def _unquoted(text: str) -> str:
    """Without one pair of quotation marks around all of it, which prose puts around a word."""
    text = line(text)
    inside = text[1:-1]
    return inside if len(text) > 2 and _QUOTES.get(text[0]) == text[-1] and text[0] not in inside else text


def _is_readable(test: Test, text: str) -> bool:
    try:
        test.fault(text)
    except FormError:
        return False
    return True
