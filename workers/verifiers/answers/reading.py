"""One response, read by one grammar: the values of its stretches, and whether the writer stands by them where they are.

Invariant: a reading says what a place holds. Which places count is the business of the stages: marks and statements
(final_answer.py), corrections and alternatives (commitment.py), and texts that announce nothing (unmarked.py).
"""

import re
from typing import Generic

from workers.verifiers.answers import retractions
from workers.verifiers.answers.corrections import is_clause, is_interjection
from workers.verifiers.answers.grammar import Answer, Grammar, Value
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.sentences import sentence_before, sentence_stretches, sentences
from workers.verifiers.answers.statements import stretches

LONGEST = 1000
"""Characters of a correction, an alternative or a conclusion that are read."""
HEDGED = "the answer is hedged"

BEGINS_WITH_NUMBER = re.compile(
    r"\s*\\?[$€£]?\s?[-+]?\.?\d[\d.,]*\b(?!\s*(?:more|less|fewer|times|greater|larger|smaller|of|per|out|[-–+*/^=:]))"
)
_ITEMS = re.compile(r"[,;]\s*(?:and\s+)?|\s+and\s+")
_NAME_WORDS = 4
"""Words of a name; what is longer says something."""
_ASIDE_END = re.compile(r"[,;)](?:\s|\Z)")


class Reading(Generic[Value]):
    """A text without its dressing, and its grammar."""

    def __init__(self, text: str, grammar: Grammar[Value], written: str) -> None:
        """`written`: the text with its emphasis."""
        self.text = text
        self.written = written
        self.grammar = grammar

    def read(self, content: str, inside: int) -> Answer[Value] | None:
        """A statement's content, by its stretches."""
        readings: list[Value] = []
        end = inside
        for stretch in stretches(content):
            asked = stretch.endswith("?") and not self.grammar.literal(stretch)
            try:
                value = None if asked else self.grammar.accepts(stretch)
            except NoAnswerError as error:
                return Answer((), inside, inside + len(content), 2, doubt=str(error))
            if value is not None:
                end = content.find(stretch) + inside + self.grammar.extent(stretch, value)
                readings.append(value)
                if not self.grammar.free or self.grammar.literal(stretch):
                    break
        return Answer(tuple(dict.fromkeys(readings)), inside, end, 2) if readings else None

    def within(self, text: str) -> list[Value]:
        """The values among a text's words. Raises NoAnswerError if one is in a sentence that denies, doubts or asks."""
        given = self.grammar.within(text)
        if given and retractions.is_open(text):
            for start, end in sentences(text):
                sentence = text[start:end]
                if retractions.is_open(sentence) and any(value in given for value in self.values_of(sentence)):
                    raise NoAnswerError("the answer is denied, hedged or asked")
        return given

    def values_of(self, sentence: str) -> list[Value]:
        try:
            return self.grammar.within(sentence)
        except NoAnswerError:
            return []

    def judged(
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
            before = sentence_before(self.text, start) if before is None else before
            doubt = HEDGED if retractions.is_hedged(self.text, start, before) else ""
        stands = not denied and not retractions.is_rejected(self.text, end)
        return Answer(readings, start, end, rank, stands, doubt)

    def _is_named(self, stretch: str, *, fresh: bool) -> bool:
        """Whether a stretch is a name or a list of names, rather than a remark."""
        if is_interjection(stretch):
            return False
        words = stretch.count(" ")
        if words < 1 or (words < 3 and not stretch[:1].islower()) or stretch[0] in "{[":
            return True
        items = _ITEMS.split(stretch) if self.grammar.lists else [stretch]
        return fresh and max(item.count(" ") for item in items) < _NAME_WORDS and not is_clause(stretch)

    def again(self, one: Answer[Value]) -> Answer[Value]:
        return self.judged(one.readings, one.start, one.end, one.rank, one.doubt)

    def clause(self, inside: int, *, aside: bool = False, fresh: bool = False) -> Answer[Value] | None:
        """The value that begins at `inside`; a few words must be all of it if any text is one to the grammar.

        `aside`: more may follow it behind a comma or a bracket, as in `5 (or 6, depending on the rounding)`. `fresh`: a
        new clause begins here, in which a few words in lower case are a value, too.
        """
        line = self.text[inside : inside + LONGEST].split("\n", 1)[0]
        if line.count(")") > line.count("(") and line.rstrip(" .!")[-1:] == ")":  # the clause is in parentheses
            line = line.rpartition(")")[0]
        first = [_ASIDE_END.split(line, maxsplit=1)[0].strip()] if aside else []
        for stretch in (line.strip(), *sentence_stretches(line), *first):
            if not stretch or stretch.endswith(("?", " is", " are", " was")):
                continue
            if self.grammar.free and not self.grammar.literal(stretch) and not self._is_named(stretch, fresh=fresh):
                continue
            value = self.grammar.accepts(stretch)
            if value is not None:
                end = inside + line.find(stretch) + self.grammar.extent(stretch, value)
                return Answer((value,), inside, end, 2)
        for stretch in first if not self.grammar.free else []:
            given = self.values_of(stretch) if BEGINS_WITH_NUMBER.match(stretch) else []
            if given:
                return Answer((given[0],), inside, inside + len(stretch), 2)
        return None
