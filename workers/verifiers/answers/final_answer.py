r"""What a response commits to: the one reader of answers, for every verifier.

Invariant: nothing is guessed. What the writer corrects is replaced, and what they deny, doubt, ask or take back is not
an answer, even if it is marked. All answers that are left must be right. Every pattern is linear in the text.

Words: a mark is `\boxed{5}` or `<answer>5</answer>`; a statement begins with `the answer is`, `Answer:` or `####`; a
remark is a verifier's own wording (`I choose B`). An answer is one such place; its readings are the values that it may
mean. A `Grammar` says what is a value. Whether a value equals the reference is the verifier's to say.

Stages:
1. `markup.clean` removes emphasis, fences and invisible characters.
2. `_Announcements`: marks, statements and remarks that hold a value. If a mark holds none, there is no answer.
3. `committed`: corrections replace, and denials, doubt and alternatives remove answers.
4. `unmarked`: if nothing is announced, the answer is the whole text, its conclusion, or the values among its words.
"""

from collections.abc import Iterator
from typing import Generic

from workers.verifiers.answers import denials
from workers.verifiers.answers.closings import without_check
from workers.verifiers.answers.commitment import committed
from workers.verifiers.answers.grammar import Answer, Grammar, Remark, Value
from workers.verifiers.answers.marks import Mark, enumerated, marks
from workers.verifiers.answers.markup import NoAnswerError, clean
from workers.verifiers.answers.reading import HEDGED, Reading
from workers.verifiers.answers.sentences import sentence_before, sentence_end
from workers.verifiers.answers.statements import (
    Statement,
    is_remark,
    stated,
    stretches,
    without_announcement,
)
from workers.verifiers.answers.unmarked import unmarked

MAX_ANSWERS = 20
"""Different answers; a longer list is a guess, and each costs a comparison."""
_BEHIND = 60
"""Characters behind a mark in which its unit is looked for."""


def final_answers(text: str, grammar: Grammar[Value]) -> list[Answer[Value]]:
    """Every answer that the text commits to, in its order. Raises NoAnswerError, and what the grammar raises."""
    reading = Reading(clean(text, verbatim=grammar.verbatim), grammar, text)
    announced = _Announcements(reading)
    found = announced.answers()
    if found:
        return _distinct(committed(reading, found))
    if announced.marks_nothing:
        raise NoAnswerError("the \\boxed{} or <answer> is empty or holds no answer")
    return _distinct(unmarked(reading))


def _distinct(found: list[Answer[Value]]) -> list[Answer[Value]]:
    """Raises NoAnswerError."""
    if len(found) == 1:
        return found
    kept: list[Answer[Value]] = []
    for one in found:
        if all(one.readings != other.readings for other in kept):
            kept.append(one)
        if len(kept) > MAX_ANSWERS:
            raise NoAnswerError(f"more than {MAX_ANSWERS} answers")
    return kept


class _Announcements(Generic[Value]):
    """The marks, statements and remarks of a text."""

    def __init__(self, reading: Reading[Value]) -> None:
        """Raises NoAnswerError."""
        self._reading = reading
        text = self._text = reading.text
        grammar = self._grammar = reading.grammar
        self._marks, echoes = marks(text, literal=grammar.literal)
        self._statements = stated(text, [*self._marks, *echoes])
        self.marks_nothing = not self._marks and ("\\boxed" in text or ("<" in text and "<answer" in text.lower()))

    def answers(self) -> list[Answer[Value]]:
        """Answers of marks, statements and remarks, in the text's order. Raises NoAnswerError."""
        found = [*map(self._of_remark, self._grammar.remarks(self._text))]
        if self._statements:
            found = [*self._of_statements(), *found]
        if self._marks:
            found = [*self._of_marks(), *found]
            if not found:
                raise NoAnswerError(f"{self._marks[-1].text[:80]!r} is not an answer")
        if len(found) < 2:
            return found
        best = max((one.rank for one in found if one.stands), default=0)
        return sorted((one for one in found if one.rank >= min(best, 2)), key=lambda one: one.start)

    def _of_marks(self) -> Iterator[Answer[Value]]:
        read = self._grammar.marked or (lambda own, _: self._grammar.accepts(own))
        listed = enumerated(self._text, self._marks) if self._grammar.lists else None
        found = self._marks if listed is None else [Mark(listed, self._marks[0].start, self._marks[-1].end)]
        for mark in found:
            plain = " " not in mark.text or self._grammar.literal(mark.text)
            own = mark.text if plain else without_announcement(mark.text)
            try:
                value = read(own, self._text[mark.end : mark.end + _BEHIND])
            except NoAnswerError as error:
                yield Answer((), mark.start, mark.end, 3, doubt=str(error))
                continue
            if value is not None:
                before = sentence_before(self._text, mark.start)
                denied = denials.is_mark_denied(self._text, before, mark.end)
                yield self._reading.judged((value,), mark.start, mark.end, 3, before=before, denied=denied)

    def _of_statements(self) -> list[Answer[Value]]:
        """Sure ones, or else weak ones; by what they are, or else by what they hold among other words."""
        sure = [one for one in self._statements if not one.weak]
        strict = [found for one in sure if (found := self._of_statement(one)) is not None]
        if strict or self._marks:
            return strict
        loose = [found for one in sure for found in self._of_clause(one)]
        if loose:
            return loose
        weak = [one for one in self._statements if one.weak]
        return [found for one in weak if (found := self._of_statement(one)) is not None] or [
            found for one in weak for found in self._of_clause(one)
        ]

    def _of_statement(self, statement: Statement) -> Answer[Value] | None:
        inside = statement.inside
        try:
            content = without_check(statement.text, self._grammar.literal)
        except NoAnswerError as error:
            return Answer((), statement.start, inside + len(statement.text), 2, doubt=str(error))
        if self._grammar.free and (
            statement.leads_on or (is_remark(content) and not any(map(self._grammar.literal, stretches(content))))
        ):
            return None
        lead = denials.denying_lead(content)
        if lead is not None and not self._grammar.literal(content.strip(" .\n")):
            length, doubt = lead
            rest = None if doubt else denials.instead(content, length)
            if rest is None:
                one = self._reading.read(content[length:], inside + length)
                return (
                    None
                    if one is None
                    else one._replace(start=statement.start, stands=doubt, doubt=HEDGED if doubt else "")
                )
            inside += len(content) - len(rest)
            content = rest
        one = self._reading.read(content, inside)
        if one is None:
            return None
        before = sentence_before(self._text, statement.start)
        denied = denials.is_statement_denied(self._text, statement.start, before)
        return self._reading.judged(
            one.readings, statement.start, one.end, one.rank, one.doubt, before=before, denied=denied
        )

    def _of_clause(self, statement: Statement) -> list[Answer[Value]]:
        """Raises NoAnswerError."""
        end = statement.inside + sentence_end(without_check(statement.text, self._grammar.literal).rstrip(), 0)
        clause = self._text[statement.inside : end]
        before = sentence_before(self._text, statement.start)
        denied = denials.is_statement_denied(self._text, statement.start, before)
        return [
            self._reading.judged((value,), statement.start, end, 2, before=before, denied=denied)
            for value in self._reading.within(clause)
        ]

    def _of_remark(self, remark: Remark[Value]) -> Answer[Value]:
        return self._reading.judged((remark.value,), remark.start, remark.end, remark.rank, remark.doubt)
