r"""Numbers with units as people and models write them: `1.2\times 10^{3}\ \text{m/s}`, `5 km`, `$3.50`, `π/2 rad`.

Invariant: only this grammar is read, token by token, exactly and within bounds; no text is evaluated. A quantity keeps
the number of figures that it was written with.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from workers.verifiers.quantity.calculations import calculated_after, calculated_before
from workers.verifiers.quantity.compound import JOIN, MAX_PARTS, part_unit, share
from workers.verifiers.quantity.units import MAX_FACTORS, MAX_POWER, Unit, UnitError, is_unit, unit_of

MAX_EXPONENT = 400
"""Largest exponent of ten; the range of doubles ends at 308."""
MAX_DIGITS = 100
MAX_QUANTITIES = 1000
"""Most quantities in one text; it bounds the time."""
MAX_REPEATED = 20
"""Most factors of one unit, the same ones counted again; else `5 m m m ...` would be read from each number on."""
MAX_NUMBERS = 4000
"""Most numbers in one text that are tried as quantities; more take a second."""
PI = Fraction("3.14159265358979323846264338327950288")

_DIGITS = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,3}}(?: \d{{3}})+(?!\d)|\d{{1,{MAX_DIGITS}}})"
_POWER = r"\^\s?(?:\{\s?(?P<braced>[+-]?\d{1,3})\s?\}|\(\s?(?P<round>[+-]?\d{1,3})\s?\)|(?P<bare>[+-]?\d{1,3}))"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<currency>US\$|[$€£¥₹])?\s?(?P<inner>-?)"
    rf"(?:(?P<integer>{_DIGITS})(?:\.(?P<decimals>\d{{0,{MAX_DIGITS}}})|,(?P<comma>\d{{1,2}}|\d{{4,{MAX_DIGITS}}})(?![\d,]))?"
    rf"|\.(?P<only>\d{{1,{MAX_DIGITS}}}))"
    r"(?![\d]|[.,]\d)"
    rf"(?:[eE](?P<exponent>[+-]?\d{{1,3}})(?![\d.])|\s?[×x*·]\s?10\s?{_POWER}(?!\d))?"
)
_TEN = re.compile(rf"(?P<sign>-?)10\s?{_POWER}(?!\d)")
_FRACTION = re.compile(
    r"(?P<sign>-?)\s?\(?\s?(?P<over>-?\d{1,30})\s?\)?\s?/\s?\(?\s?(?P<under>\d{1,30})\s?\)?(?![\d.])"
)
_PI = re.compile(
    r"(?P<sign>-?)\s?\(?\s?(?P<times>\d{0,9}(?:\.\d{1,9})?)\s?[*·×]?\s?(?:π|\bpi\b)\s?\)?(?:\s?/\s?\(?\s?(?P<under>\d{1,9})\s?\)?)?(?!\d)"
)
_SCALE = re.compile(r"\s?(thousand|million|billion|trillion)\b(?!th)", re.IGNORECASE)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

_NAME = re.compile(r"°\s?[CFK](?![A-Za-z])|[°º%‰′″€£¥₹¢$]|[A-Za-zµΩÅ℃℉]{1,30}")
_DEGREES = frozenset(["deg", "degree", "degrees"])
_DEGREES_OF = re.compile(r"\s?(C|F|K|[Cc]elsius|[Ff]ahrenheit|[Kk]elvin)\b")
_CLAUSE_END = re.compile(r"\s?(?:\Z|[.,;:!?()\n])")
_UNIT_OPENING = re.compile(r"\s?(?:-(?=[A-Za-zµΩ°])|(?P<over>/|per\b)\s?)?")
_UNIT_POWER = re.compile(rf"\s?{_POWER}|(?P<digit>-?[1-9])(?![\d.,])")
_WORD_POWER = re.compile(r"\s(squared|cubed)\b", re.IGNORECASE)
_FORE_POWER = re.compile(r"(square|sq|cubic|cu)\.?\s", re.IGNORECASE)
_OPERATOR = re.compile(r"\s?(?P<over>/|\bper\b)\s?|\s?[·*×]\s?|-(?=[A-Za-zµΩ])|\.(?=[A-Za-zµΩ])|(?=°)|\s")
_PROSE = frozenset(
    [
        *("a", "i", "in", "at", "as", "is", "are", "am", "be", "so", "to", "do", "he", "we", "us", "me", "it", "if"),
        *("or", "and", "the", "for", "on", "of", "by", "d", "t", "h", "per", "pt", "no", "his", "was", "has", "an"),
    ]
)
"""Words that are also symbols of units; within prose they are words, unless the clause ends with them."""


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Fraction
    unit: Unit | None
    """None if no unit is written."""
    figures: int | None
    """Significant figures as written, with all zeros except leading ones; None if the number is exact."""
    step: Fraction
    """The value of one in the last written place."""
    integer: bool
    """Whether it is written without decimals and without a power of ten."""
    text: str


def whole_quantity(text: str) -> Quantity | None:
    """Reads a text as one quantity and nothing else; None if it is not one. `text` has gone through
    `typography.plain`.
    """
    text = text.strip().rstrip(".").strip()
    if text[:1] == "(" and text[-1:] == ")" and "(" not in text[1:]:
        text = text[1:-1].strip()
    found = quantity_at(text, 0, prose=False)
    if found is None or text[found[1] :].strip(" .,;:!") or _is_factorial(text, found):
        return None
    return found[0]


def _is_factorial(text: str, found: tuple[Quantity, int]) -> bool:
    return found[0].unit is None and text.startswith("!", found[1])


def quantities_in(text: str) -> list[Quantity]:
    """Returns every quantity of a plain text, from left to right.

    Raises UnitError if there are over MAX_QUANTITIES, or over MAX_NUMBERS numbers.
    """
    found = []
    position = tried = 0
    while position < len(text):
        tried += 1
        if tried > MAX_NUMBERS:
            raise UnitError(f"more than {MAX_NUMBERS} numbers")
        start = _START.search(text, position)
        if start is None:
            break
        one = quantity_at(text, start.start(), prose=True)
        calculated = calculated_before(text, start.end() - 1)
        if one is None or calculated or calculated_after(text, one[1]) or _is_factorial(text, one):
            position = max(start.end(), one[1] if one else 0)
        else:
            found.append(one[0])
            position = one[1]
            if len(found) > MAX_QUANTITIES:
                raise UnitError(f"more than {MAX_QUANTITIES} quantities")
    return found


_START = re.compile(r"(?<![\w.,])(?:[+-]\s?)?(?:US\$|[$€£¥₹])?\s?-?(?:\d|\.\d|π)|(?<=\d[-–—])\d|(?<![\w.,])\\?\(\d")


def quantity_at(text: str, position: int, *, prose: bool) -> tuple[Quantity, int] | None:
    """Returns the quantity that begins at `position`, in one unit or several, and its end. If `prose`, words that might
    be units are words.
    """
    found = _simple_at(text, position, prose=prose)
    parts = [found[0]] if found else []
    while found and parts[-1].integer and parts[-1].unit is not None and len(parts) < MAX_PARTS:
        join = JOIN.match(text, found[1])
        following = _simple_at(text, join.end(), prose=prose) if join else None
        if following is None or following[0].unit is None:
            break
        unit = part_unit(parts[-1].unit, following[0].unit)
        if share(following[0].value, unit, parts[-1].unit) is None:
            break
        parts.append(replace(following[0], unit=unit))
        found = following
    return (_add_parts(parts, text[position : found[1]].strip()), found[1]) if found else None


def _add_parts(parts: list[Quantity], text: str) -> Quantity:
    """Adds the parts up in the first part's unit."""
    first = parts[0]
    if len(parts) == 1 or first.unit is None:
        return first
    rest = sum((share(own.value, own.unit, first.unit) or Fraction(0) for own in parts[1:] if own.unit), Fraction(0))
    value = first.value - rest if text.startswith("-") else first.value + rest
    return Quantity(value, first.unit, None, Fraction(0), False, text)


def _simple_at(text: str, position: int, *, prose: bool) -> tuple[Quantity, int] | None:
    number = _number_at(text, position)
    if number is None:
        return None
    quantity, end, currency = number
    scale = _SCALE.match(text, end)
    factor = 1
    if scale:
        factor, end = _SCALES[scale.group(1).lower()], scale.end()
    unit, end = _unit_at(text, end, prose=prose)
    if currency:
        if unit is not None:
            return None
        unit = unit_of({currency: 1})
    made = Quantity(
        quantity.value * factor,
        unit,
        quantity.figures,
        quantity.step * factor,
        quantity.integer,
        text[position:end].strip(),
    )
    return made, end


def _number_at(text: str, position: int) -> tuple[Quantity, int, str | None] | None:
    for pattern, made in (
        (_PI, _read_pi),
        (_FRACTION, _read_fraction),
        (_TEN, _read_power_of_ten),
        (_NUMBER, _read_decimal),
    ):
        match = pattern.match(text, position)
        quantity = made(match) if match else None
        if match and quantity:
            currency = match.groupdict().get("currency")
            return quantity, match.end(), currency
    return None


def _read_pi(match: re.Match[str]) -> Quantity | None:
    under = int(match["under"] or 1)
    if not under:
        return None
    value = Fraction(match["times"] or 1) * PI / under
    return Quantity(-value if match["sign"] else value, None, None, Fraction(0), False, match.group())


def _read_fraction(match: re.Match[str]) -> Quantity | None:
    under = int(match["under"])
    if not under:
        return None
    value = Fraction(int(match["over"]), under)
    return Quantity(-value if match["sign"] else value, None, None, Fraction(0), False, match.group())


def _read_power_of_ten(match: re.Match[str]) -> Quantity | None:
    power = _read_power(match)
    if abs(power) > MAX_EXPONENT:
        return None
    value = Fraction(10) ** power
    return Quantity(-value if match["sign"] else value, None, 1, value, False, match.group())


def _read_decimal(match: re.Match[str]) -> Quantity | None:
    integer = re.sub(r"[ ,]", "", match["integer"] or "")
    decimals = match["decimals"] or match["comma"] or match["only"] or ""
    scientific = match["exponent"] is not None or any(match[name] for name in ("braced", "round", "bare"))
    exponent = int(match["exponent"]) if match["exponent"] else _read_power(match)
    if abs(exponent) > MAX_EXPONENT or len(integer + decimals) > MAX_DIGITS:
        return None
    step = Fraction(10) ** (exponent - len(decimals))
    value = int(integer + decimals) * step
    negative = "-" in (match["sign"] + match["inner"])
    figures = len((integer + decimals).lstrip("0")) or 1
    return Quantity(-value if negative else value, None, figures, step, not (decimals or scientific), match.group())


def _read_power(match: re.Match[str]) -> int:
    return int(next((match[name] for name in ("braced", "round", "bare") if match[name]), 0))


def _unit_at(text: str, position: int, *, prose: bool) -> tuple[Unit | None, int]:
    """Returns the unit at `position` and the end of its last factor; None and `position` if no unit follows."""
    reader = _UnitReader(text, position, prose=prose)
    reader.read()
    if not reader.factors or reader.grouped or reader.ambiguous:
        return None, position
    try:
        return unit_of(reader.factors), reader.end
    except UnitError:
        return None, position


class _UnitReader:
    """Reads factors from left to right; all factors after a `/` are below it, as in J/mol K, until a new group."""

    def __init__(self, text: str, position: int, *, prose: bool) -> None:
        self.text, self.cursor, self.end, self.prose = text, position, position, prose
        self.factors: dict[str, int] = {}
        self.sign = 1
        self.grouped = self.ambiguous = False

    def read(self) -> None:
        opening = _UNIT_OPENING.match(self.text, self.cursor)
        if opening:
            self.cursor = opening.end()
            self.sign = -1 if opening["over"] else 1
        for _ in range(MAX_REPEATED):
            if len(self.factors) > MAX_FACTORS or not (self._factor() and self._operator()):
                return
        self.ambiguous = True

    def _factor(self) -> bool:
        opens = self.text[self.cursor : self.cursor + 1] == "(" and not self.grouped
        if opens:
            self.grouped, self.cursor = True, self.cursor + 1
        prose = self.prose and self.text[self.cursor - 1 : self.cursor] == " "
        factor = _factor_at(self.text, self.cursor, prose=prose)
        if factor is None:
            self.grouped = self.grouped and not opens  # a parenthesis that belongs to the prose
            return False
        name, power, self.cursor = factor
        self.factors[name] = self.factors.get(name, 0) + power * self.sign
        if self.grouped and self.text[self.cursor : self.cursor + 1] == ")":
            self.cursor += 1
            self.grouped, self.sign = False, 1
        self.end = self.cursor
        return True

    def _operator(self) -> bool:
        operator = _OPERATOR.match(self.text, self.cursor)
        if operator is None:
            return False
        self.cursor = operator.end()
        if operator["over"]:
            self.ambiguous = self.grouped and self.sign < 0
            self.sign = -1
        return True


def _factor_at(text: str, position: int, *, prose: bool) -> tuple[str, int, int] | None:
    """Returns a unit's name, its power and its end; None if no known unit begins at `position`."""
    power = 1
    fore = _FORE_POWER.match(text, position)
    if fore:
        power, position = (2 if fore.group(1).lower().startswith("sq") else 3), fore.end()
    match = _NAME.match(text, position)
    if match is None:
        return None
    name, end = match.group().replace(" ", ""), match.end()
    scale = _DEGREES_OF.match(text, end) if name.lower() in _DEGREES else None
    if scale:
        name, end = "°" + scale.group(1)[0].upper(), scale.end()
    if not is_unit(name):
        return None
    after = _UNIT_POWER.match(text, end)
    word = _WORD_POWER.match(text, end)
    if after:
        own = next((after[key] for key in ("braced", "round", "bare", "digit") if after[key]), "1")
        power, end = power * int(own), after.end()
    elif word:
        power, end = power * (2 if word.group(1).lower() == "squared" else 3), word.end()
    if abs(power) > MAX_POWER:
        return None
    if prose and name.lower() in _PROSE and not after and _CLAUSE_END.match(text, end) is None:
        return None
    return name, power, end
