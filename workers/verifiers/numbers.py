"""Plain number literals, read exactly: sign, currency, thousands separators, decimals, percent, a unit.

Invariant: what is read is a Fraction of the digits as they stand. Words that change the number (`5 squared`, `5 pi`)
make it no plain number; scale words (`5 million`) multiply it.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400
"""2^1000 has 302 digits; longer numbers are no answers to questions that people ask."""

_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_CHANGERS = frozenset(
    [
        *("pi", "e", "i", "x", "squared", "cubed", "factorial", "half", "halves", "third", "thirds", "quarter"),
        *("quarters", "fifths", "sixths", "eighths", "tenths", "and", "or", "not", "mod", "modulo", "over", "plus"),
        *("minus", "times", "divided", "sqrt", "root", "to", "the", "of", "th", "st", "nd", "rd", "power"),
    ]
)
_UNIT = r"\\(?:text|textrm|mathrm)\{\s*(?P<boxed_unit>[^{}\d\\]{1,24})\}|(?P<unit>[A-Za-zµ°Ω]{1,16}(?:/[A-Za-z]{1,8})?)"
_NUMBER = re.compile(
    r"\s*(?P<sign>[-+]?)\s*(?:\\?[$€£¥]\s*)?(?P<inner>-?)"
    r"(?P<integer>\d{1,3}(?:,\d{3})+|\d*)(?P<fraction>\.\d+|\.)?(?:[eE](?P<exponent>[-+]?\d{1,3}))?"
    rf"\s*(?P<percent>\\?%|\bpercent\b)?\s*(?:{_UNIT})?(?P<area>\^\{{?[23]\}}?|[²³])?\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction
    decimals: int
    """Digits after the point."""
    significant: int
    """Digits from the first that is not zero."""
    percent: bool = False
    unit: str = ""


def read_number(text: str) -> Number | None:
    """None where the text is anything but one number with at most a unit."""
    if len(text) > MAX_DIGITS:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    integer, fraction = match["integer"].replace(",", ""), (match["fraction"] or "").lstrip(".")
    if not integer and not fraction:
        return None
    unit = (match["boxed_unit"] or match["unit"] or "").strip().casefold()
    if unit in _CHANGERS or (len(unit) == 1 and not match["boxed_unit"] and unit not in "mgshlkcfvwa°"):
        return None
    value = Fraction(int(integer + fraction or "0"), 10 ** len(fraction)) * Fraction(10) ** int(match["exponent"] or 0)
    value *= _SCALES.get(unit, 1)
    if match["percent"]:
        value /= 100
    return Number(
        -value if "-" in (match["sign"] + match["inner"]) else value,
        decimals=len(fraction),
        significant=len((integer + fraction).lstrip("0")),
        percent=bool(match["percent"]),
        unit="" if unit in _SCALES else unit + (match["area"] or ""),
    )


def same_number(gold: Number, answer: Number) -> bool:
    """Equal exactly, or up to float noise where one has decimals. A missing unit is forgiven, another one is not."""
    if gold.unit and answer.unit and gold.unit != answer.unit:
        return False
    if close(gold.value, answer.value, exact=not (gold.decimals or answer.decimals)):
        return True
    # "What percentage ...?" 45 and 45% say the same where the gold is a whole number of percent.
    one_percent = answer.percent != gold.percent and not gold.decimals
    return one_percent and gold.value > 1 and answer.percent and answer.value * 100 == gold.value


FLOAT_NOISE = Fraction(1, 10**14)
"""A few roundings of a double, relative: 0.30000000000000004 is 0.3."""


def close(left: Fraction, right: Fraction, *, exact: bool) -> bool:
    if exact or left == right:
        return left == right
    return abs(left - right) <= FLOAT_NOISE * max(abs(left), abs(right))
