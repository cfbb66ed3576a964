"""Numbers with units: the response's quantity against the reference's, converted and to the figures that are written.

Invariant: right means that every quantity that the response commits to agrees with the reference in dimension and
value. Ranges, bounds, alternatives and doubt are no answer.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from streams.messages import Question, Status
from workers.verifiers.answers.final_answer import CORRECTION, HEDGE, NoAnswerError, Place, clean, marked, stated
from workers.verifiers.answers.reasoning import after_reasoning
from workers.verifiers.answers.retractions import CORRECTIONS, check_stands
from workers.verifiers.base import OptionsError, Signed, Verdict
from workers.verifiers.quantity.grammar import Quantity, quantities_in, whole_quantity
from workers.verifiers.quantity.tolerance import Tolerance
from workers.verifiers.quantity.typography import plain
from workers.verifiers.quantity.units import UnitError

_APPROXIMATE = re.compile(
    r"(?:(?:about|approximately|approx\.?|around|roughly|nearly|almost|close\s+to|circa|ca\.|equal\s+to|exactly|simply|just"
    r"|therefore|thus|then|found\s+to\s+be|given\s+by)\b\.?|[≈~=:])\s*",
    re.IGNORECASE,
)
_VAGUE = re.compile(
    r"\b(?:or|between|either|neither|at\s+least|at\s+most|up\s+to|more\s+than|less\s+than|greater\s+than|no\s+more|range|ranges"
    r"|not|nor|never|far\s+from|anything\s+but|unless|above|below|over|under|exceeds?)\b|n't\b|±|\+/-|\+-|[<>≤≥?]|\\(?:leq?|geq?|lt|gt)\b|\bnan\b|\binf(?:inity)?\b|∞",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\d\s*[A-Za-z%°]*\s*(?:[–—-]|\bto\b)\s*\d")
_CONCLUSION = re.compile(
    r"(?:\b(?:so|therefore|thus|hence|finally|in\s+total|altogether|this\s+gives|which\s+gives|we\s+get|we\s+obtain|we\s+find"
    r"|yields|comes\s+to|is\s+equal\s+to)\b|[∴⇒])[,:]?\s*",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\s*(?:[-*•>]\s+)?([A-Za-zα-ωΔ_\\]{1,12}(?:_\{?\w{1,8}\}?)?)\s*[=≈]\s*")
_BEHIND = 60
"""Characters behind a box in which its unit is looked for."""
_LONGEST = 500
"""Characters of a corrected answer."""
_EQUALS = re.compile(r"[=≈]")
_SENTENCE = re.compile(r"[.!?;](?:\s|$)|\n")


class QuantityVerifier(Signed):
    name = "quantity"
    version = "2"
    policy = (
        "Only what stands after the reasoning block counts. Every \\boxed{}, <answer> and `the answer is ...` must "
        "agree with the reference; without any, the whole text must give one quantity, or conclude with one. Units are "
        "converted; another dimension is wrong, and so is a missing unit where the reference has one. Without a "
        "tolerance a value is right where it equals the reference, or where one of the two is the other correctly "
        "rounded to two figures or more (integers: three), within 1 %. Ranges, bounds (`at least 5 m`), alternatives, "
        "doubt and what is denied or taken back are no answer."
    )
    options: ClassVar[Mapping[str, str]] = {
        "relative": "tolerance as a share of the reference, such as 0.01 (default: by written figures)",
        "absolute": "tolerance in the reference's unit (default: by written figures)",
        "unit_required": "false: a bare number is read in the reference's unit (default true)",
        "difference": "true: temperatures are differences, 5 K is 5 °C (default false: points on their scales)",
    }

    def verify(self, question: Question, response: str) -> Verdict:
        try:
            gold = _gold(question.ground_truth)
            tolerance = Tolerance.of(question.options)
        except OptionsError as error:
            return self._refused(error)
        try:
            found = committed(after_reasoning(response))
            for one in found:
                why = tolerance.differs(gold, one)
                if why:
                    return self._verdict(0.0, Status.WRONG, f"{one.text[:80]!r} is not {gold.text!r}: {why}")
        except (NoAnswerError, UnitError) as error:
            return self._verdict(0.0, Status.UNPARSEABLE, str(error))
        return self._verdict(1.0, Status.CORRECT, f"{found[-1].text[:80]!r} is {gold.text!r}")


def _gold(text: Any) -> Quantity:
    """Raises OptionsError."""
    gold = _pure(plain(text)) if isinstance(text, str) and len(text) < 1000 else None
    if gold is None:
        raise OptionsError(f"the ground truth {text!r:.80} is no number with at most a unit")
    return gold


def committed(text: str) -> list[Quantity]:
    """Every quantity that the text commits to; all of them must be right. Raises NoAnswerError."""
    text = clean(text)
    if not text:
        raise NoAnswerError("nothing stands after the reasoning")
    whole, boxes, statements = text, marked(text), stated(text)
    corrected = _corrected(text, [*boxes, *statements])
    if corrected is not None:
        text, boxes, statements = corrected
    check_stands(whole, boxes, statements)
    if boxes:
        found = [one for place in boxes for one in _of_box(place, whole)]
        if any(HEDGE.search(place.before.rsplit(",", 1)[-1]) for place in boxes):
            raise NoAnswerError("the answer is hedged")
        beside = [_pure(plain(_sentence(place.text.split("\\boxed")[0]))) for place in statements]
        return found + [one for one in beside if one is not None]
    if statements:
        return [one for place in statements for one in _of_statement(place)]
    return _of_text(plain(text))


def _corrected(text: str, places: list[Place]) -> tuple[str, list[Place], list[Place]] | None:
    """What stands after the last correction, where an answer does."""
    for match in list(CORRECTION.finditer(text))[: -CORRECTIONS - 1 : -1]:
        rest = text[match.end() :]
        later = [place for place in places if place.start >= match.start()]
        if later:
            boxes = [place for place in later if text.startswith(("\\boxed", "\\fbox", "<"), place.start)]
            return rest, boxes, [place for place in later if place not in boxes]
        if _pure(plain(_sentence(rest[:_LONGEST]))) is not None and not places:
            return rest, [], []
    return None


def _of_statement(place: Place) -> list[Quantity]:
    """Raises NoAnswerError."""
    if HEDGE.search(place.before):
        raise NoAnswerError("the answer is hedged")
    clause = plain(place.text)
    return _of_clause(clause if _pure(clause) else plain(_sentence(place.text)))


def _of_box(place: Place, text: str) -> list[Quantity]:
    """A unit may stand right behind the box. Raises NoAnswerError."""
    found = _of_clause(plain(place.text))
    if len(found) == 1 and found[0].unit is None:
        behind = _sentence(text[place.end : place.end + _BEHIND]).split("\\boxed")[0].strip(" $.")
        together = _pure(plain(f"{place.text} {behind}"))
        return [together] if together else found
    return found


def _of_text(text: str) -> list[Quantity]:
    """The text as a whole, or its conclusion. Raises NoAnswerError."""
    whole = _pure(text)
    if whole:
        return [whole]
    bare = _bare_lines(text.split("\n"))
    quantities = quantities_in(text)
    if "\n" not in text and len(quantities) == 1:
        return _of_clause(text)
    conclusions = list(_CONCLUSION.finditer(text))
    if conclusions:
        clause = _sentence(text[conclusions[-1].end() :])
        if not quantities_in(text[conclusions[-1].end() + len(clause) :]) and quantities_in(clause):
            return _of_clause(clause) + bare
    last = text.rsplit("\n", 1)[-1]
    if quantities_in(last) and ("\n" in text or "=" in last) and _SENTENCE.search(last.rstrip(". ")) is None:
        return _of_clause(last) + bare
    return _of_clause(text)


def _bare_lines(lines: list[str]) -> list[Quantity]:
    """Lines that are one quantity, or give one to the variable that the last line is about."""
    variable = _VARIABLE.match(lines[-1])
    about = [line for line in lines if (own := _VARIABLE.match(line)) is None or (variable and own[1] == variable[1])]
    return [one for line in about if (one := _pure(line))]


def _of_clause(text: str) -> list[Quantity]:
    """Raises NoAnswerError."""
    whole = _pure(text)
    if whole:
        return [whole]
    if HEDGE.search(text) or _VAGUE.search(text) or _RANGE.search(text):
        raise NoAnswerError("the answer is a range, a bound or hedged")
    if _EQUALS.search(text):
        parts = _EQUALS.split(text)
        pure = [one for part in parts[:-1] if (one := _pure(part))]
        last = _of_clause(parts[-1])
        # In `10/2 = 5 m/s` the sum is worked out without its unit.
        return [one for one in pure if one.unit is not None or one.value != last[-1].value] + last
    found = quantities_in(text)
    if not found:
        raise NoAnswerError("no number with a known unit is given")
    return found


def _pure(text: str) -> Quantity | None:
    """One quantity after words of approximation and at most one `x =`."""
    text = _VARIABLE.sub("", text.strip())
    for _ in range(3):
        match = _APPROXIMATE.match(text)
        if not match:
            break
        text = text[match.end() :].strip()
    return whole_quantity(text)


def _sentence(text: str) -> str:
    end = _SENTENCE.search(text)
    return text[: end.start()] if end else text
