"""Plain number literals, read exactly: sign, currency, thousands separators, decimals, percent, a unit.

Invariant: what is read is a Fraction of exactly the written digits. Words that change the number (`5 squared`, `5 pi`)
make it not a plain number; scale words (`5 million`) multiply it. Three digits after a comma or a space are thousands;
any other comma separates values, so `3,14` is not a decimal.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from workers.verifiers.answers.unit_names import SCALES, known_unit

MAX_DIGITS = 400
"""2^1000 has 302 digits; longer numbers do not answer questions that people ask."""

_CHANGERS = frozenset(
    [
        *("pi", "e", "i", "x", "squared", "cubed", "factorial", "half", "halves", "third", "thirds", "quarter"),
        *("quarters", "fifths", "sixths", "eighths", "tenths", "and", "or", "not", "mod", "modulo", "over", "plus"),
        *("minus", "times", "divided", "sqrt", "root", "to", "the", "of", "th", "st", "nd", "rd", "power", "ish"),
        *("maybe", "sin", "cos", "tan", "log", "ln", "choose", "base", "more", "less", "fewer", "is", "are", "wrong"),
        *("else", "if", "but", "as", "in", "at", "by", "so", "xor", "union", "per", "false", "incorrect"),
    ]
)
_LETTERS = frozenset("mgshlLVWANJKCF")
"""Units of one letter."""
_UNIT = (
    r"\\(?:text|textrm|mathrm|mbox|rm)\{\s*(?P<boxed_unit>[^{}\d\\]{1,24})\}"
    r"|(?P<unit>[A-Za-zµ°Ω¢][A-Za-z°]{0,15}(?:/[A-Za-z]{1,8}|\s+per\s+[A-Za-z]{1,12})?)"
)
_NUMBER = re.compile(
    r"\s*(?P<sign>[-+]?)\s*(?:(?P<currency>\\?[$€£¥])\s*)?(?P<inner>-?)"
    r"(?P<integer>\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d*)(?P<fraction>\.\d+|\.)?(?:[eE](?P<exponent>[-+]?\d{1,3}))?"
    r"(?P<percent>\s*\\?%|\s*\bpercent\b)?"
    rf"(?P<gap>\s*)(?:{_UNIT})?(?P<area>\^\{{?[23]\}}?|[²³])?\s*\Z"
)
_MIXED = re.compile(
    r"\s*(-?)\s*(\d{1,20})(?:\s+(\d{1,20})/(\d{1,20})|\s*\\[dt]?frac\{(\d{1,20})\}\{(\d{1,20})\})\s*(\\?%)?\s*\Z"
)
_REPEATING = re.compile(r"\s*(-?)(\d{0,20})\.(\d{0,20})\\(?:overline|bar|dot)\{\s*(\d{1,20})\s*\}\s*\Z")
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?")

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELT: dict[str, int | Fraction] = (
    {word: number for number, word in enumerate(_ONES)}
    | {word: 10 * number for number, word in enumerate(_TENS, start=2)}
    | {f"{tens}-{_ONES[one]}": 10 * ten + one for ten, tens in enumerate(_TENS, start=2) for one in range(1, 10)}
    | {"one hundred": 100, "a hundred": 100, "a dozen": 12, "one thousand": 1000, "a thousand": 1000}
    | dict.fromkeys(("one half", "one-half", "half", "a half"), Fraction(1, 2))
    | dict.fromkeys(("one third", "one-third", "a third"), Fraction(1, 3))
    | dict.fromkeys(("two thirds", "two-thirds"), Fraction(2, 3))
    | dict.fromkeys(("one quarter", "one-quarter", "a quarter", "one fourth"), Fraction(1, 4))
    | dict.fromkeys(("three quarters", "three-quarters", "three fourths"), Fraction(3, 4))
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
    attached: bool = False
    """The unit is one letter that touches the number, as a variable would: `5m`."""
    exponent: int = 0
    """The power of ten by which the digits are multiplied."""

    @property
    def places(self) -> int:
        """Decimal places of the last digit: 6 for `3.3e-5`."""
        return self.decimals - self.exponent

    @property
    def step(self) -> Fraction:
        """One in the last place."""
        return Fraction(10) ** -self.places / (100 if self.percent else 1) * SCALES.get(self.unit, 1)


def read_number(text: str) -> Number | None:
    """Returns None if the text is anything but one number with at most one unit."""
    if len(text) > MAX_DIGITS:
        return None
    match = _NUMBER.match(_DEGREE.sub("°", text) if "circ" in text else text)
    if match is None or not (match["integer"] or (match["fraction"] or "").strip(".")):
        return _read_fraction(text)
    integer = match["integer"].replace(",", "").replace(" ", "")
    fraction = (match["fraction"] or "").lstrip(".")
    unit = _unit(match)
    if unit is None or (match["area"] and not unit):
        return None
    value = Fraction(int(integer + fraction or "0"), 10 ** len(fraction)) * Fraction(10) ** int(match["exponent"] or 0)
    value *= SCALES.get(unit, 1)
    if match["percent"]:
        value /= 100
    currency = (match["currency"] or "").lstrip("\\")
    return Number(
        -value if "-" in (match["sign"] + match["inner"]) else value,
        decimals=len(fraction),
        significant=len((integer + fraction).lstrip("0")),
        percent=bool(match["percent"]),
        unit=currency if not unit or unit in SCALES else unit + (match["area"] or "").strip("^{}"),
        exponent=int(match["exponent"] or 0),
        attached=len(match["unit"] or "") == 1 and match["unit"].isalpha() and not match["gap"],
    )


def _unit(match: re.Match[str]) -> str | None:
    """Returns the unit's usual name, or None if it is not a unit."""
    boxed, plain = match["boxed_unit"], match["unit"]
    unit = " ".join((boxed or plain or "").casefold().split()).rstrip(".")
    if not unit:
        return ""
    if unit in _CHANGERS or not _CHANGERS.isdisjoint(re.findall(r"[a-z]+", unit)[:1]):
        return None if unit != "in" else unit
    if {"or", "not", "maybe"} & set(unit.split()):
        return None
    known = known_unit(unit)
    if plain and not known and (len(plain) == 1 or (not match["gap"] and len(plain) < 4)) and plain not in _LETTERS:
        return None
    return known or unit.removesuffix("s") if unit not in SCALES else unit


def _read_fraction(text: str) -> Number | None:
    """`1 1/2`, a repeating decimal, or a number in words."""
    if match := _MIXED.match(text):
        top, bottom = int(match[3] or match[5]), int(match[4] or match[6])
        if not 0 < top < bottom:
            return None
        value = (int(match[2]) + Fraction(top, bottom)) / (100 if match[7] else 1)
        return Number(-value if match[1] else value, 0, 0, percent=bool(match[7]))
    if match := _REPEATING.match(text):
        once, again = match[3], match[4]
        value = Fraction(int(match[2] or 0)) + Fraction(int(once or 0), 10 ** len(once))
        value += Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(once))
        return Number(-value if match[1] else value, 0, 0)
    words = " ".join(text.casefold().split()).strip(" .").replace("ty ", "ty-")
    name = words.removeprefix("negative ").removeprefix("minus ")
    whole, _, part = name.rpartition(" and ")
    fraction = _SPELT.get(part)
    if whole.isdecimal() and isinstance(fraction, Fraction):
        return Number(int(whole) + fraction, 0, 0) if name == words else None
    spelt = _SPELT.get(name)
    return None if spelt is None else Number(Fraction(spelt if name == words else -spelt), 0, len(str(spelt)))


def same_number(gold: Number, answer: Number) -> bool:
    """Whether they are equal, up to float noise if one has decimals. A missing unit is forgiven, another one not."""
    if gold.unit and answer.unit and gold.unit != answer.unit:
        return False
    if gold.attached and not answer.unit:  # a gold of 5m may be a product
        return False
    if close(gold.value, answer.value, exact=not (gold.decimals or answer.decimals)):
        return True
    # "What percentage ...?" 45 and 45% say the same.
    if gold.percent != answer.percent and not gold.unit and not answer.unit:
        percent, other = (gold, answer) if gold.percent else (answer, gold)
        return other.value > 1 and percent.value * 100 == other.value
    return False


FLOAT_NOISE = Fraction(1, 10**14)
"""A few roundings of a double, relative: 0.30000000000000004 is 0.3."""


def close(left: Fraction, right: Fraction, *, exact: bool) -> bool:
    if exact or left == right:
        return left == right
    return abs(left - right) <= FLOAT_NOISE * max(abs(left), abs(right))
