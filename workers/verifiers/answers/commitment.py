"""Which announced answers the writer stands by in the end.

Invariant: corrections replace what comes before them, denials and doubt remove answers, and `or` adds them. Nothing
here makes an answer out of a text that gives none, except for what a correction gives instead.
"""

from collections.abc import Iterator

from workers.verifiers.answers import retractions
from workers.verifiers.answers.corrections import (
    alternative,
    conclusion_of_correction,
    corrections,
    has_rival,
    is_fresh,
)
from workers.verifiers.answers.grammar import Answer, Value
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.reading import Reading


def committed(reading: Reading[Value], found: list[Answer[Value]]) -> list[Answer[Value]]:
    """Returns the answers that are left after corrections, denials and doubt; `found` is in the text's order.

    Raises NoAnswerError.
    """
    found = _corrected(reading, found)
    firm = [one for one in found if one.stands and not one.doubt]
    if len(firm) < len(found):
        firm = _without_denied(found, firm)
    end = max([one.end for one in firm])
    if retractions.is_taken_back(reading.text, end) or retractions.is_doubted(reading.text, end):
        raise NoAnswerError("the answer is doubted or taken back")
    size = len(reading.text)
    return [*firm, *_alternatives(reading, [one for one in firm if one.end < size])]


def _without_denied(found: list[Answer[Value]], firm: list[Answer[Value]]) -> list[Answer[Value]]:
    """Returns the firm answers that no later denial is about. Raises NoAnswerError if none is left, or by doubt."""
    for one in found:
        if not one.stands:
            firm = [own for own in firm if own.start > one.start or own.readings != one.readings]
    last = max((one.start for one in firm), default=-1)
    doubts = [one.doubt for one in found if one.doubt and one.start > last]
    if not firm or doubts:
        raise NoAnswerError(doubts[-1] if doubts else "the answer is denied or asked")
    return firm


def _corrected(reading: Reading[Value], found: list[Answer[Value]]) -> list[Answer[Value]]:
    """Returns the answers after the last correction that one follows, or what a later correction gives instead."""
    # What comes before the first answer corrects none of them.
    places = corrections(reading.text, found[0].start)
    if not places:
        return found
    replaced = replacement(reading, found, places)
    if replaced:
        return replaced
    for start, _ in places:
        if any(one.start >= start and one.stands for one in found):
            return [one for one in found if one.start >= start]
    return found


def replacement(
    reading: Reading[Value], found: list[Answer[Value]], places: list[tuple[int, int]]
) -> list[Answer[Value]]:
    """Returns what the last correction gives in plain words, if it comes after all answers.

    `places`: where each correction and its replacement begin; the last comes first.
    """
    last = found[-1].start if found else 0
    for start, inside in places:
        if start <= last:
            break
        one = reading.clause(inside, fresh=is_fresh(reading.text, start, inside))
        if one is None and (so := conclusion_of_correction(reading.text, inside)) is not None:
            one = reading.clause(so)
        if one is not None:
            return [reading.again(one)._replace(start=start)]
    return []


def _alternatives(reading: Reading[Value], firm: list[Answer[Value]]) -> Iterator[Answer[Value]]:
    """Yields the alternatives that `or` adds to an answer. Raises NoAnswerError if one is said with doubt."""
    for one in firm:
        if has_rival(reading.text, one.end):
            raise NoAnswerError("another answer is possible")
        inside = alternative(reading.text, one.end)
        other = None if inside is None else reading.clause(inside, aside=True)
        if inside is not None and other is not None:
            if retractions.is_vague(reading.text[one.end : inside]):
                raise NoAnswerError("another answer is possible")
            yield other
