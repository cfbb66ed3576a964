"""The stage for a text that announces no answer: it is the whole text, its conclusion, or the values among its words.

Invariant: a text that corrects, doubts or takes back what it says, or that ends within a sentence, gives only what its
correction gives.
"""

import re
from collections.abc import Iterator

from workers.verifiers.answers import retractions
from workers.verifiers.answers.closings import ends_sentence, without_check, without_courtesies
from workers.verifiers.answers.commitment import committed, replacement
from workers.verifiers.answers.corrections import corrections
from workers.verifiers.answers.denials import denying_lead
from workers.verifiers.answers.grammar import Answer, Value
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.reading import BEGINS_WITH_NUMBER, LONGEST, Reading
from workers.verifiers.answers.sentences import (
    CONCLUSION,
    bold,
    conclusion,
    sentences,
    without_circumstance,
)

_BLOCK = re.compile(r"(?P<lead>[^\n]{1,200}):[ \t]*\n\s{0,3}```[^`\n]{0,20}\n(?P<block>[^`]*?)\n?[ \t]*```\s*\Z")


def unmarked(reading: Reading[Value]) -> list[Answer[Value]]:
    """Answers of a text that announces none: the whole, what it gives, or its conclusion. Raises NoAnswerError."""
    text = reading.text = without_courtesies(reading.text)
    replaced = replacement(reading, [], corrections(text, 0))
    if replaced:
        return committed(reading, replaced)
    checked = without_check(text, reading.grammar.literal)
    if len(checked) < len(text):
        reading.text = without_courtesies(checked)
        try:
            return _given(reading)
        except NoAnswerError:
            if ends_sentence(text, len(checked)):
                raise
            reading.text = text  # as in `To find it, we check all numbers: 3 fits`
    return _given(reading)


def _given(reading: Reading[Value]) -> list[Answer[Value]]:
    """What a text gives that corrects nothing and has no closing. Raises NoAnswerError."""
    text = reading.text
    size = len(text)
    whole = reading.grammar.accepts(text)
    if whole is not None and reading.grammar.free and text.isalnum() and not retractions.is_disowned(text):
        return [Answer((whole,), 0, size, 0)]  # one word concludes nothing
    single = None if whole is None or reading.grammar.free else Answer((whole,), 0, size, 0)
    if (single := _block_below(reading) or single) is not None:
        return [single]
    concluded = _conclusion(reading)
    if reading.grammar.free or not concluded:
        concluded = [*concluded, *_emphasised(reading)]
    if reading.grammar.free:
        readings = [*([] if whole is None else [whole]), *reading.within(text)]
        readings += [own for one in concluded for own in one.readings]
        if readings and (reading.grammar.literal(text) or not retractions.is_disowned(text)):
            return [Answer(tuple(readings), 0, size, 0)]
    if retractions.is_disowned(text):
        raise NoAnswerError("the answer is doubted or taken back")
    return _among_words(reading, concluded)


def _among_words(reading: Reading[Value], concluded: list[Answer[Value]]) -> list[Answer[Value]]:
    """Returns the conclusion, or else the values among the text's words. Raises NoAnswerError."""
    text = reading.text
    if retractions.is_unfinished(text):
        raise NoAnswerError("the text ends before its answer")
    try:
        given = reading.within(text) if not concluded or len(text) <= LONGEST else []
    except NoAnswerError:
        if not concluded:
            raise
        given = []
    if concluded and (len(given) != 1 or concluded[-1].rank > 2):
        return concluded
    if not given:
        raise NoAnswerError("no answer is given")
    return [Answer((value,), 0, len(text), 0) for value in given]


def _block_below(reading: Reading[Value]) -> Answer[Value] | None:
    """The one fenced block that ends a text and follows a line with a colon. Raises NoAnswerError."""
    fenced = reading.grammar.verbatim and reading.text.count("```") == 2
    found = _BLOCK.search(reading.text) if fenced else None
    value = None if found is None else reading.grammar.accepts(found["block"])
    if found is None or value is None:
        return None
    if retractions.is_open(found["lead"]):
        raise NoAnswerError("the answer is denied, hedged or asked")
    return Answer((value,), found.start("block"), len(reading.text), 0)


def _conclusion(reading: Reading[Value]) -> list[Answer[Value]]:
    """Returns what the last sentence gives, and what others give for the same subject. Raises NoAnswerError."""
    spans = sentences(reading.text)
    if not spans or not reading.grammar.concludes:
        return []
    start, end = spans[-1]
    sentence = without_circumstance(reading.text[start : min(end, start + LONGEST)])
    if sentence.endswith("?"):
        return []
    for clause in conclusion(sentence):
        inside = start + len(sentence) - len(clause)
        one = reading.read(clause, inside)
        if one is not None:
            subject = sentence[: len(sentence) - len(clause)].strip().casefold()
            vague = retractions.is_vague(sentence) or retractions.is_supposed(subject)
            if one.doubt or vague or denying_lead(clause):
                raise NoAnswerError(one.doubt or "the answer is hedged or denied")
            return [*_same_subject(reading, spans[:-1], subject), reading.again(one)]
    counted = _counted(reading, sentence, start)
    if counted is not None:
        return [counted]
    last = reading.text.rsplit("\n\n", 2)[-2:]
    if len(last) > 1 and "\n" not in last[1] and reading.grammar.accepts(last[0]) is None:
        one = reading.read(last[1], len(reading.text) - len(last[1]))
        if one is not None and not one.doubt:
            return [reading.again(one)]
    return _emphasised(reading) or (_last_value(reading, start, end) if len(spans) > 1 else [])


def _counted(reading: Reading[Value], sentence: str, start: int) -> Answer[Value] | None:
    """The one value with which a clause behind a verb begins: `So after 3 hours there are 15 gallons left`."""
    if reading.grammar.free or retractions.is_open(sentence):
        return None
    for clause in conclusion(sentence):
        given = reading.values_of(clause) if BEGINS_WITH_NUMBER.match(clause) else []
        if len(given) == 1:
            return Answer((given[0],), start + len(sentence) - len(clause), start + len(sentence), 2)
    return None


def _last_value(reading: Reading[Value], start: int, end: int) -> list[Answer[Value]]:
    """The one value of a last sentence that concludes, such as `So Tom has 5 left`. Raises NoAnswerError."""
    sentence = reading.text[start : min(end, start + LONGEST)]
    if not CONCLUSION.search(sentence) or reading.grammar.free:
        return []
    if retractions.is_vague(sentence):
        raise NoAnswerError("the answer is hedged")
    given = reading.within(sentence)
    return [Answer((given[0],), start, end, 2)] if len(given) == 1 else []


def _emphasised(reading: Reading[Value]) -> list[Answer[Value]]:
    """The one value in bold type in the last sentence, which marks it, if that says nothing else of it."""
    if "**" not in reading.written:
        return []
    start, end = next(reversed(sentences(reading.text)), (0, 0))
    value = bold(reading.written, reading.text[start:end])
    one = None if value is None else reading.grammar.accepts(value)
    return [] if one is None else [Answer((one,), start, end, 3)]


def _same_subject(reading: Reading[Value], spans: list[tuple[int, int]], subject: str) -> Iterator[Answer[Value]]:
    for start, end in spans:
        sentence = reading.text[start:end].strip()
        if len(subject) > 2 and sentence.casefold().startswith(subject):
            one = reading.read(sentence[len(subject) :], start)
            if one is not None and not one.doubt:
                yield one
