"""Numbers as answers, and the conditions under which a rounded number is right.

Invariant: a number is matched digit by digit and stored as a Decimal with the places that it was written with;
exponents are too small to cost time.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from workers.verifiers.puzzle.forms import FormError, cells, line, matched, reduced_fraction

_NUMBER = re.compile(
    r"(?:[A-Za-z]\s*=\s*)?([-+]?)\s*\$?\s*((?:\d{1,3}(?:,\d{3})+|\d{1,400})(?:\.\d{0,400})?|\.\d{1,400})"
    r"((?:e[-+]?\d{1,3})?)\s*°?",
    re.IGNORECASE,
)
_NUM = r"(?:\d{1,40}(?:\.\d{1,40})?)"
_COMPLEX = re.compile(rf"\(?\s*(?:([-+]?\s*{_NUM})(?:\s*([-+]\s*{_NUM}?)\s*[ij])?|([-+]?\s*{_NUM}?)\s*[ij])\s*\)?")
_COORDINATES = re.compile(r"\(([^,()]+),([^,()]+)\)")
_ALLOWED_DIGITS = 12
"""Most digits of an answer that decimal_arithmetic asks for."""
_SHARE = Decimal("1e-9")
"""Largest error of the reference's probabilities, which are written with ten significant digits."""


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    value: Decimal
    places: int
    """Digits after the point; negative if the exponent leaves out the last digits."""

    @property
    def half_unit(self) -> Decimal:
        return Decimal(5).scaleb(-self.places - 1)


def number(text: str) -> WrittenNumber:
    """Reads `1,000.50`, `x = 7`, `-1.2e-5`, `90°`. Raises FormError."""
    sign, digits, exponent = matched(_NUMBER, text.replace("−", "-"), "a number").groups()
    value = Decimal(f"{sign}{digits.replace(',', '')}{exponent}")
    return WrittenNumber(value, -int(value.as_tuple().exponent))


def numbers(text: str) -> tuple[WrittenNumber, ...]:
    """Reads numbers that are separated by commas."""
    return tuple(number(part) for part in line(text).split(","))


def quoted_numbers(values: list[object]) -> tuple[Decimal, ...]:
    """Reads a list's items, texts or numbers. Raises FormError."""
    if not all(isinstance(value, str | int | Decimal) and not isinstance(value, bool) for value in values):
        raise FormError("expected a list of numbers")
    return tuple(number(str(value)).value for value in values)


def number_grid(text: str) -> tuple[tuple[WrittenNumber, ...], ...]:
    return tuple(tuple(number(cell) for cell in row) for row in cells(text))


def point(text: str) -> tuple[WrittenNumber, ...]:
    """Reads `(x, y)` as two numbers, or one number."""
    pair = _COORDINATES.fullmatch(line(text))
    return tuple(number(part) for part in pair.groups()) if pair else (number(text),)


def complex_number(text: str) -> tuple[WrittenNumber, WrittenNumber]:
    """Reads the real and the imaginary part."""
    real, with_real, alone = matched(_COMPLEX, text.replace("−", "-"), "a complex number a + bi").groups()
    imaginary = with_real if alone is None else alone
    if imaginary is not None and not imaginary.strip(" +-"):
        imaginary += "1"
    return number(real or "0"), number(imaginary or "0")


def share(text: str) -> WrittenNumber:
    """Reads a probability: a decimal, a percentage, or a fraction."""
    flat = line(text)
    if "/" in flat or "frac" in flat:
        top, bottom = reduced_fraction(flat)
        if not bottom:
            raise FormError("a fraction over 0")
        return WrittenNumber(Decimal(top) / Decimal(bottom), 28)
    percent = flat.endswith("%")
    found = number(flat.removesuffix("%").removesuffix("\\"))
    return WrittenNumber(found.value.scaleb(-2), found.places + 2) if percent else found


def equal(gold: WrittenNumber, given: WrittenNumber) -> bool:
    return gold.value == given.value


def rounded_alike(gold: WrittenNumber, given: WrittenNumber) -> bool:
    """Whether both may be one value, rounded: the right one to its places, the given one to at least as many."""
    if given.places <= gold.places:
        return gold.value == given.value
    return abs(gold.value - given.value) <= gold.half_unit + given.half_unit


def points_alike(gold: tuple[WrittenNumber, ...], given: tuple[WrittenNumber, ...]) -> bool:
    """Compares coordinates; the right ones are rounded, to two places or three."""
    return len(gold) == len(given) and all(map(rounded_alike, gold, given))


def equal_unless_long(gold: WrittenNumber, given: WrittenNumber) -> bool:
    """Compares exactly, unless the right number has all the digits that the question allows, since only then is it
    rounded.
    """
    rounded = len(gold.value.as_tuple().digits) >= _ALLOWED_DIGITS
    return rounded_alike(gold, given) if rounded else equal(gold, given)


def complex_alike(gold: tuple[WrittenNumber, WrittenNumber], given: tuple[WrittenNumber, WrittenNumber]) -> bool:
    """Compares exactly, except that a quotient that the generator writes in full may be rounded to two places
    or more.
    """
    return all(
        equal(right, part) or (right.places > 2 <= part.places and abs(right.value - part.value) <= part.half_unit)
        for right, part in zip(gold, given, strict=True)
    )


def shares_alike(gold: WrittenNumber, given: WrittenNumber) -> bool:
    """Whether the given one is right to its last place; unless it is exact, it needs at least four places."""
    return abs(gold.value - given.value) <= (given.half_unit if given.places >= 4 else 0) + _SHARE


def grids_alike(gold: tuple[tuple[WrittenNumber, ...], ...], given: tuple[tuple[WrittenNumber, ...], ...]) -> bool:
    """Compares to two places, as the question asks; the right answer is already rounded to them."""
    if [len(row) for row in gold] != [len(row) for row in given]:
        return False
    pairs = [pair for rows in zip(gold, given, strict=True) for pair in zip(*rows, strict=True)]
    return all(abs(one.value - other.value) <= Decimal("0.005") for one, other in pairs)


def three_digits_alike(gold: WrittenNumber, given: WrittenNumber) -> bool:
    """Compares to three significant digits."""
    context = Context(prec=3, rounding=ROUND_HALF_UP)
    return context.plus(gold.value) == context.plus(given.value)


def hundredths_alike(gold: WrittenNumber, given: WrittenNumber) -> bool:
    return abs(gold.value - given.value) < Decimal("0.01")


def roots_alike(gold: tuple[WrittenNumber, ...], given: tuple[WrittenNumber, ...]) -> bool:
    """Whether there are equally many roots, each within one unit of the fourth place, since the question asks for an
    unusual rounding.
    """
    if len(gold) != len(given):
        return False
    ordered = [sorted(one.value for one in side) for side in (gold, given)]
    return all(abs(one - other) <= Decimal("0.0001") for one, other in zip(*ordered, strict=True))
