"""Numbers with units: compares the response's quantity with the reference's, after conversion and to the written
figures.

Invariant: a response is right if every quantity that it commits to agrees with the reference in dimension and value.
Ranges, bounds, alternatives and doubtful statements are not answers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.messages import Question
from workers.verifiers.answers.grammar import Grammar
from workers.verifiers.answers.markup import NoAnswerError, enclosed
from workers.verifiers.answers.retractions import is_vague
from workers.verifiers.answers.verifier import POLICY, AnswerVerifier
from workers.verifiers.base import OptionsError
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
    r"|not|nor|never|except|far\s+from|(?:any|every|no)thing\s+but|unless|exceeds?|(?:above|below|over|under)(?=\s+[$\\(]*-?[\d.])|(?:and|or)\s+(?:above|below|over|under|more|up))\b|n't\b|±|\+/-|\+-|[<>≤≥?]|\\(?:leq?|geq?|lt|gt)\b|\bnan\b|\binf(?:inity)?\b|∞",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\d\s*[A-Za-z%°]*\s*(?:[–—-]|\bto\b)\s*\d")
_CONCLUSION = re.compile(
    r"(?:\b(?:so|therefore|thus|hence|finally|in\s+total|altogether|this\s+gives|which\s+gives|we\s+get|we\s+obtain|we\s+find"
    r"|yields|comes\s+to|is\s+equal\s+to)\b|[∴⇒])[,:]?\s*",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\s*(?:[-*•>]\s+)?([A-Za-zα-ωΔ_\\]{1,12}(?:_\{?\w{1,8}\}?)?)\s*[=≈]\s*")
_EQUALS = re.compile(r"[=≈]")
_OR = re.compile(r",?\s*\(?\b(?:or|i\.e\.|that\s+is|which\s+is|equivalently)(?:\s+equivalently)?,?\s+", re.IGNORECASE)
_LONGEST_PAIR = 200
_SENTENCE = re.compile(r"[.!?;](?:\s|$)|\n")


@dataclass(frozen=True, slots=True)
class QuantityReference:
    quantity: Quantity
    tolerance: Tolerance


class QuantityVerifier(AnswerVerifier[QuantityReference, tuple[Quantity, ...]]):
    name = "quantity"
    version = "6"
    policy = (
        f"{POLICY} Without any of them the whole text must give one quantity, or conclude with one. Units are "
        "converted; another dimension is wrong, and so is a missing unit if the reference has one. Without a tolerance "
        "a value is right if it equals the reference, or if one of the two is the other correctly rounded to two "
        "figures or more (integers: three), within 1 %. Ranges, bounds (`at least 5 m`) and alternatives are not "
        "answers."
    )
    options: ClassVar[Mapping[str, str]] = {
        "relative": "tolerance as a share of the reference, such as 0.01 (default: by written figures)",
        "absolute": "tolerance in the reference's unit (default: by written figures)",
        "unit_required": "if false, a bare number is read in the reference's unit (default true)",
        "difference": "if true, temperatures are differences: 5 K is 5 °C (default false: points on their scales)",
    }

    unreadable = (UnitError,)

    def gold(self, question: Question) -> QuantityReference:
        return QuantityReference(_read_gold(question.ground_truth), Tolerance.of(question.options))

    def grammar(self, gold: QuantityReference) -> Grammar[tuple[Quantity, ...]]:  # noqa: ARG002  the same for all
        return _GRAMMAR

    def fault(self, gold: QuantityReference, value: tuple[Quantity, ...]) -> str | None:
        """Returns why the value is wrong, or None. Raises UnitError."""
        for one in value:
            why = gold.tolerance.differs(gold.quantity, one)
            if why:
                return f"{one.text[:80]!r} is not {gold.quantity.text!r}: {why}"
        return None

    def shown(self, value: tuple[Quantity, ...]) -> str:
        return value[-1].text


def _read_gold(text: Any) -> Quantity:
    """Reads the reference. Raises OptionsError."""
    gold = _read_quantity(plain(text)) if isinstance(text, str) and len(text) < 1000 else None
    if gold is None:
        raise OptionsError(f"the ground truth {text!r:.80} is not a number with at most a unit")
    return gold


def _read_accepted(text: str) -> tuple[Quantity, ...] | None:
    text = plain(enclosed(text))
    one = _read_quantity(text)
    return _read_equal(text) if one is None else (one,)


def _read_equal(text: str) -> tuple[Quantity, ...] | None:
    """Reads one quantity that is given twice: `3.4e-7 m, or 340 nm`. All of them must be right."""
    parts = _OR.split(text) if len(text) < _LONGEST_PAIR else []
    found = [_read_quantity(part) for part in parts] if len(parts) == 2 else []
    both = [one for one in found if one is not None and one.unit is not None]
    return tuple(both) if len(both) == 2 and both[0].unit != both[1].unit else None


def _read_marked(text: str, behind: str) -> tuple[Quantity, ...]:
    """Reads marked text, whose unit may directly follow the mark. Raises NoAnswerError."""
    found = _read_clause(plain(text))
    if len(found) == 1 and found[0].unit is None:
        unit = _first_sentence(behind).split("\\boxed")[0].strip(" $.")
        together = _read_quantity(plain(f"{text} {unit}"))
        return (together,) if together else tuple(found)
    return tuple(found)


def _read_text(text: str) -> list[Quantity]:
    """Reads the text as a whole, or its conclusion. Raises NoAnswerError."""
    whole = _read_quantity(text)
    if whole:
        return [whole]
    bare = _read_bare_lines(text.split("\n"))
    quantities = quantities_in(text)
    if "\n" not in text and len(quantities) == 1:
        asked = "?" in text
        return _read_clause(text if asked else next(own for own in _SENTENCE.split(text) if quantities_in(own)))
    conclusions = list(_CONCLUSION.finditer(text))
    if conclusions:
        clause = _first_sentence(text[conclusions[-1].end() :])
        if not quantities_in(text[conclusions[-1].end() + len(clause) :]) and quantities_in(clause):
            return _read_clause(clause) + bare
    last = text.rsplit("\n", 1)[-1]
    if quantities_in(last) and ("\n" in text or "=" in last) and _SENTENCE.search(last.rstrip(". ")) is None:
        return _read_clause(last) + bare
    return _read_clause(text)


def _read_bare_lines(lines: list[str]) -> list[Quantity]:
    """Reads lines that are one quantity, or give one to the variable of the last line."""
    variable = _VARIABLE.match(lines[-1])
    about = [line for line in lines if (own := _VARIABLE.match(line)) is None or (variable and own[1] == variable[1])]
    return [one for line in about if (one := _read_quantity(line))]


def _read_clause(text: str) -> list[Quantity]:
    """Reads the quantities of a clause. Raises NoAnswerError."""
    whole = _read_quantity(text)
    if whole:
        return [whole]
    if is_vague(text) or _VAGUE.search(text) or _RANGE.search(text):
        raise NoAnswerError("the answer is a range, a bound or hedged")
    if _EQUALS.search(text):
        parts = _EQUALS.split(text)
        pure = [one for part in parts[:-1] if (one := _read_quantity(part))]
        last = _read_clause(parts[-1])
        # `10/2 = 5 m/s`: the calculation leaves out the unit.
        return [one for one in pure if one.unit is not None or one.value != last[-1].value] + last
    found = quantities_in(text)
    if not found:
        raise NoAnswerError("no number with a known unit is given")
    return found


def _read_quantity(text: str) -> Quantity | None:
    """Reads one quantity after words of approximation and at most one `x =`; None if there is more."""
    text = _VARIABLE.sub("", text.strip())
    for _ in range(3):
        match = _APPROXIMATE.match(text)
        if not match:
            break
        text = text[match.end() :].strip()
    return whole_quantity(text)


def _first_sentence(text: str) -> str:
    end = _SENTENCE.search(text)
    return text[: end.start()] if end else text


def _read_within(text: str) -> list[tuple[Quantity, ...]]:
    return [tuple(_read_text(plain(text.replace("$$", " "))))]


_GRAMMAR = Grammar(_read_accepted, _read_marked, _read_within)
