r"""What a response commits to: the one reader of answers, for every verifier.

Invariant: nothing is guessed. What the writer corrects is replaced, and what they deny, doubt, ask or take back is not
an answer, even if it is marked. All answers that are left must be right. Every pattern is linear in the text.

Words: a mark is `\boxed{5}` or `<answer>5</answer>`; a statement begins with `the answer is`, `Answer:` or `####`; a
remark is a verifier's own wording (`I choose B`). An answer is one such place; its readings are the values that it may
mean. A `Grammar` says what is a value. Whether a value equals the reference is the verifier's to say.

Stages:
1. `markup.clean` removes emphasis, fences and invisible characters.
2. `announced`: marks, statements and remarks that hold a value. If a mark holds none, there is no answer.
3. `committed`: corrections replace, and denials, doubt and alternatives remove answers.
4. `plain`: if nothing is announced, the answer is the whole text, its conclusion, or the values among its words.
"""

import re
from collections.abc import Iterator
from typing import Generic

from workers.verifiers.answers import retractions
from workers.verifiers.answers.grammar import Answer, Grammar, Remark, Value
from workers.verifiers.answers.marks import Mark, enumerated, marks
from workers.verifiers.answers.markup import NoAnswerError, clean
from workers.verifiers.answers.statements import (
    CONCLUSION,
    Statement,
    bold,
    conclusion,
    is_remark,
    sentence_before,
    sentence_end,
    sentence_stretches,
    sentences,
    stated,
    stretches,
    without_announcement,
    without_circumstance,
    without_closing,
)

MAX_ANSWERS = 20
"""Different answers; a longer list is a guess, and each costs a comparison."""
_BEHIND = 60
"""Characters behind a mark in which its unit is looked for."""
_LONGEST = 1000
"""Characters of a correction, an alternative or a conclusion that are read."""

_BEGINS_WITH_NUMBER = re.compile(
    r"\s*\\?[$€£]?\s?[-+]?\.?\d[\d.,]*\b(?!\s*(?:more|less|fewer|times|greater|larger|smaller|of|per|out|[-–+*/^=:]))"
)
_BLOCK = re.compile(r"(?P<lead>[^\n]{1,200}):[ \t]*\n\s{0,3}```[^`\n]{0,20}\n(?P<block>[^`]*?)\n?[ \t]*```\s*\Z")

_ASIDE_END = re.compile(r"[,;)](?:\s|\Z)")

_HEDGED = "the answer is hedged"


def final_answers(text: str, grammar: Grammar[Value]) -> list[Answer[Value]]:
    """Every answer that the text commits to, in its order. Raises NoAnswerError, and what the grammar raises."""
    reader = _Reader(clean(text, verbatim=grammar.verbatim), grammar, text)
    found = reader.announced()
    if found:
        return _distinct(reader.committed(found))
    if reader.marks_nothing:
        raise NoAnswerError("the \\boxed{} or <answer> is empty or holds no answer")
    return _distinct(reader.plain())


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


class _Reader(Generic[Value]):
    """One text, read by one grammar."""

    def __init__(self, text: str, grammar: Grammar[Value], written: str) -> None:
        """`written`: the text with its emphasis. Raises NoAnswerError."""
        self._text = text
        self._written = written
        self._grammar = grammar
        self._marks, echoes = marks(text, literal=grammar.literal)
        self._statements = stated(text, [*self._marks, *echoes])
        self.marks_nothing = not self._marks and ("\\boxed" in text or ("<" in text and "<answer" in text.lower()))

    def announced(self) -> list[Answer[Value]]:
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

    def committed(self, found: list[Answer[Value]]) -> list[Answer[Value]]:
        """Returns the answers that are left after corrections, denials and doubt. Raises NoAnswerError."""
        found = self._corrected(found)
        firm = [one for one in found if one.stands and not one.doubt]
        if len(firm) < len(found):
            firm = self._without_denied(found, firm)
        end = max([one.end for one in firm])
        if retractions.is_taken_back(self._text, end) or retractions.is_doubted(self._text, end):
            raise NoAnswerError("the answer is doubted or taken back")
        size = len(self._text)
        return [*firm, *self._alternatives([one for one in firm if one.end < size])]

    def _without_denied(self, found: list[Answer[Value]], firm: list[Answer[Value]]) -> list[Answer[Value]]:
        """Returns the firm answers that no later denial is about. Raises NoAnswerError if none is left, or by doubt."""
        for one in found:
            if not one.stands:
                firm = [own for own in firm if own.start > one.start or own.readings != one.readings]
        last = max((one.start for one in firm), default=-1)
        doubts = [one.doubt for one in found if one.doubt and one.start > last]
        if not firm or doubts:
            raise NoAnswerError(doubts[-1] if doubts else "the answer is denied or asked")
        return firm

    def plain(self) -> list[Answer[Value]]:
        """Answers of a text that announces none: the whole, what it gives, or its conclusion. Raises NoAnswerError."""
        text = self._text = without_closing(self._text)
        size = len(text)
        replaced = self._replacement([], retractions.corrections(text, 0))
        if replaced:
            return self.committed(replaced)
        whole = self._grammar.accepts(text)
        single = None if whole is None or self._grammar.free else Answer((whole,), 0, size, 0)
        if (single := self._block_below() or single) is not None:
            return [single]
        concluded = self._conclusion()
        if self._grammar.free or not concluded:
            concluded = [*concluded, *self._emphasised()]
        if self._grammar.free:
            readings = [*([] if whole is None else [whole]), *self._within(text)]
            readings += [own for one in concluded for own in one.readings]
            if readings and (self._grammar.literal(text) or not retractions.is_disowned(text)):
                return [Answer(tuple(readings), 0, size, 0)]
        if retractions.is_disowned(text):
            raise NoAnswerError("the answer is doubted or taken back")
        return self._among_words(concluded)

    def _among_words(self, concluded: list[Answer[Value]]) -> list[Answer[Value]]:
        """Returns the conclusion, or else the values among the text's words. Raises NoAnswerError."""
        text = self._text
        if retractions.is_unfinished(text):
            raise NoAnswerError("the text ends before its answer")
        try:
            given = self._within(text) if not concluded or len(text) <= _LONGEST else []
        except NoAnswerError:
            if not concluded:
                raise
            given = []
        if concluded and (len(given) != 1 or concluded[-1].rank > 2):
            return concluded
        if not given:
            raise NoAnswerError("no answer is given")
        return [Answer((value,), 0, len(text), 0) for value in given]

    def _block_below(self) -> Answer[Value] | None:
        """The one fenced block that ends a text and follows a line with a colon. Raises NoAnswerError."""
        fenced = self._grammar.verbatim and self._text.count("```") == 2
        found = _BLOCK.search(self._text) if fenced else None
        value = None if found is None else self._grammar.accepts(found["block"])
        if found is None or value is None:
            return None
        if retractions.is_open(found["lead"]):
            raise NoAnswerError("the answer is denied, hedged or asked")
        return Answer((value,), found.start("block"), len(self._text), 0)

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
                denied = retractions.is_mark_denied(self._text, before, mark.end)
                yield self._judged((value,), mark.start, mark.end, 3, before=before, denied=denied)

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
        content, inside = statement.text, statement.inside
        if self._grammar.free and (
            statement.leads_on or (is_remark(content) and not any(map(self._grammar.literal, stretches(content))))
        ):
            return None
        lead = retractions.denying_lead(content)
        if lead is not None and not self._grammar.literal(content.strip(" .\n")):
            length, doubt = lead
            rest = None if doubt else retractions.instead(content, length)
            if rest is None:
                one = self._read(content[length:], inside + length)
                return (
                    None
                    if one is None
                    else one._replace(start=statement.start, stands=doubt, doubt=_HEDGED if doubt else "")
                )
            inside += len(content) - len(rest)
            content = rest
        one = self._read(content, inside)
        if one is None:
            return None
        before = sentence_before(self._text, statement.start)
        denied = retractions.is_statement_denied(self._text, statement.start, before)
        return self._judged(one.readings, statement.start, one.end, one.rank, one.doubt, before=before, denied=denied)

    def _of_clause(self, statement: Statement) -> list[Answer[Value]]:
        """Raises NoAnswerError."""
        end = statement.inside + sentence_end(statement.text.rstrip(), 0)
        clause = self._text[statement.inside : end]
        before = sentence_before(self._text, statement.start)
        denied = retractions.is_statement_denied(self._text, statement.start, before)
        return [
            self._judged((value,), statement.start, end, 2, before=before, denied=denied)
            for value in self._within(clause)
        ]

    def _within(self, text: str) -> list[Value]:
        """The values among a text's words. Raises NoAnswerError if one is in a sentence that denies, doubts or asks."""
        given = self._grammar.within(text)
        if given and retractions.is_open(text):
            for start, end in sentences(text):
                sentence = text[start:end]
                if retractions.is_open(sentence) and any(value in given for value in self._values_of(sentence)):
                    raise NoAnswerError("the answer is denied, hedged or asked")
        return given

    def _values_of(self, sentence: str) -> list[Value]:
        try:
            return self._grammar.within(sentence)
        except NoAnswerError:
            return []

    def _of_remark(self, remark: Remark[Value]) -> Answer[Value]:
        return self._judged((remark.value,), remark.start, remark.end, remark.rank, remark.doubt)

    def _judged(
        self,
        readings: tuple[Value, ...],
        start: int,
        end: int,
        rank: int,
        doubt: str = "",
        *,
        before: str | None = None,
        denied: bool = False,
    ) -> Answer[Value]:
        """`before`: the sentence up to `start`, if it is known."""
        if not doubt:
            before = sentence_before(self._text, start) if before is None else before
            doubt = _HEDGED if retractions.is_hedged(self._text, start, before) else ""
        stands = not denied and not retractions.is_rejected(self._text, end)
        return Answer(readings, start, end, rank, stands, doubt)

    def _of(self, one: Answer[Value]) -> Answer[Value]:
        return self._judged(one.readings, one.start, one.end, one.rank, one.doubt)

    def _read(self, content: str, inside: int) -> Answer[Value] | None:
        """A statement's content, by its stretches."""
        readings: list[Value] = []
        end = inside
        for stretch in stretches(content):
            asked = stretch.endswith("?") and not self._grammar.literal(stretch)
            try:
                value = None if asked else self._grammar.accepts(stretch)
            except NoAnswerError as error:
                return Answer((), inside, inside + len(content), 2, doubt=str(error))
            if value is not None:
                end = content.find(stretch) + inside + self._grammar.extent(stretch, value)
                readings.append(value)
                if not self._grammar.free or self._grammar.literal(stretch):
                    break
        return Answer(tuple(dict.fromkeys(readings)), inside, end, 2) if readings else None

    def _corrected(self, found: list[Answer[Value]]) -> list[Answer[Value]]:
        """Returns the answers after the last correction that one follows, or what a later correction gives instead."""
        # What comes before the first answer corrects none of them.
        corrections = retractions.corrections(self._text, min(one.start for one in found))
        replaced = self._replacement(found, corrections)
        if replaced:
            return replaced
        for start, _ in corrections:
            if any(one.start >= start and one.stands for one in found):
                return [one for one in found if one.start >= start]
        return found

    def _replacement(self, found: list[Answer[Value]], corrections: list[tuple[int, int]]) -> list[Answer[Value]]:
        """Returns what the last correction gives in plain words, if it comes after all answers."""
        last = max((one.start for one in found), default=0)
        for start, inside in corrections:
            if start <= last:
                break
            one = self._clause(inside, few_words=True)
            if one is None and (so := retractions.conclusion_of_correction(self._text, inside)) is not None:
                one = self._clause(so, few_words=True)
            if one is not None:
                return [self._of(one)._replace(start=start)]
        return []

    def _clause(self, inside: int, *, few_words: bool, aside: bool = False) -> Answer[Value] | None:
        """The value that begins at `inside`; a few words must be all of it if any text is one to the grammar.

        `aside`: more may follow it behind a comma or a bracket, as in `5 (or 6, depending on the rounding)`.
        """
        line = self._text[inside : inside + _LONGEST].split("\n", 1)[0]
        first = [_ASIDE_END.split(line, maxsplit=1)[0].strip()] if aside else []
        for stretch in (line.strip(), *sentence_stretches(line), *first):
            if not stretch or stretch.endswith(("?", " is", " are", " was")):
                continue
            words = stretch.count(" ")
            named = few_words and (words < 1 or (words < 3 and not stretch[:1].islower()) or stretch[0] in "{[")
            if (
                self._grammar.free
                and not self._grammar.literal(stretch)
                and (not named or retractions.is_interjection(stretch))
            ):
                continue
            value = self._grammar.accepts(stretch)
            if value is not None:
                end = inside + line.find(stretch) + self._grammar.extent(stretch, value)
                return Answer((value,), inside, end, 2)
        for stretch in first if not self._grammar.free else []:
            given = self._values_of(stretch) if _BEGINS_WITH_NUMBER.match(stretch) else []
            if given:
                return Answer((given[0],), inside, inside + len(stretch), 2)
        return None

    def _alternatives(self, firm: list[Answer[Value]]) -> Iterator[Answer[Value]]:
        """Yields the alternatives that `or` adds to an answer. Raises NoAnswerError if one is said with doubt."""
        for one in firm:
            if retractions.has_rival(self._text, one.end):
                raise NoAnswerError("another answer is possible")
            inside = retractions.alternative(self._text, one.end)
            other = None if inside is None else self._clause(inside, few_words=True, aside=True)
            if inside is not None and other is not None:
                if retractions.is_vague(self._text[one.end : inside]):
                    raise NoAnswerError("another answer is possible")
                yield other

    def _conclusion(self) -> list[Answer[Value]]:
        """Returns what the last sentence gives, and what others give for the same subject. Raises NoAnswerError."""
        spans = sentences(self._text)
        if not spans or not self._grammar.concludes:
            return []
        start, end = spans[-1]
        sentence = without_circumstance(self._text[start : min(end, start + _LONGEST)])
        if sentence.endswith("?"):
            return []
        for clause in conclusion(sentence):
            inside = start + len(sentence) - len(clause)
            one = self._read(clause, inside)
            if one is not None:
                subject = sentence[: len(sentence) - len(clause)].strip().casefold()
                vague = retractions.is_vague(sentence) or retractions.is_supposed(subject)
                if one.doubt or vague or retractions.denying_lead(clause):
                    raise NoAnswerError(one.doubt or "the answer is hedged or denied")
                return [*self._same_subject(spans[:-1], subject), self._of(one)]
        counted = self._counted(sentence, start)
        if counted is not None:
            return [counted]
        last = self._text.rsplit("\n\n", 2)[-2:]
        if len(last) > 1 and "\n" not in last[1] and self._grammar.accepts(last[0]) is None:
            one = self._read(last[1], len(self._text) - len(last[1]))
            if one is not None and not one.doubt:
                return [self._of(one)]
        return self._emphasised() or (self._last_value(start, end) if len(spans) > 1 else [])

    def _counted(self, sentence: str, start: int) -> Answer[Value] | None:
        """The one value with which a clause behind a verb begins: `So after 3 hours there are 15 gallons left`."""
        if self._grammar.free or retractions.is_open(sentence):
            return None
        for clause in conclusion(sentence):
            given = self._values_of(clause) if _BEGINS_WITH_NUMBER.match(clause) else []
            if len(given) == 1:
                return Answer((given[0],), start + len(sentence) - len(clause), start + len(sentence), 2)
        return None

    def _last_value(self, start: int, end: int) -> list[Answer[Value]]:
        """The one value of a last sentence that concludes, such as `So Tom has 5 left`. Raises NoAnswerError."""
        sentence = self._text[start : min(end, start + _LONGEST)]
        if not CONCLUSION.search(sentence) or self._grammar.free:
            return []
        if retractions.is_vague(sentence):
            raise NoAnswerError("the answer is hedged")
        given = self._within(sentence)
        return [Answer((given[0],), start, end, 2)] if len(given) == 1 else []

    def _emphasised(self) -> list[Answer[Value]]:
        """The one value in bold type in the last sentence, which marks it, if that says nothing else of it."""
        if "**" not in self._written:
            return []
        start, end = next(reversed(sentences(self._text)), (0, 0))
        value = bold(self._written, self._text[start:end])
        one = None if value is None else self._grammar.accepts(value)
        return [] if one is None else [Answer((one,), start, end, 3)]

    def _same_subject(self, spans: list[tuple[int, int]], subject: str) -> Iterator[Answer[Value]]:
        for start, end in spans:
            sentence = self._text[start:end].strip()
            if len(subject) > 2 and sentence.casefold().startswith(subject):
                one = self._read(sentence[len(subject) :], start)
                if one is not None and not one.doubt:
                    yield one
