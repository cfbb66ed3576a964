"""Quantities in two or three units: `2 h 30 min`, `5 ft 10 in`, `1 lb 4 oz`, `30° 15' 20"`.

Invariant: a compound is one quantity only if each part is smaller than one of the unit before it and all parts except
the last are whole; anything else is several quantities.
"""

import re
from fractions import Fraction

from workers.verifiers.quantity.units import Unit, UnitError, converted

MAX_PARTS = 4
"""Most parts of a compound: days, hours, minutes, seconds."""

JOIN = re.compile(r"\s?(?:,\s?)?(?:and\s)?\s?(?=\d|\.\d)")
_HOUR, _METER, _MINUTE = Unit((("hour", 1),)), Unit((("meter", 1),)), Unit((("minute", 1),))
_QUOTES = frozenset("'′’″")
_FEET = re.compile(r"(?<![\w°.,])(\d{1,3})\s?['′’]\s?(\d{1,2}(?:\.\d{1,4})?)\s?(?:[\"″”]|''|′′)")
_ARC = re.compile(
    r"(°\s?)(\d{1,2}(?:\.\d{1,6})?)\s?['′’](?![A-Za-z'′])(?:\s?(\d{1,2}(?:\.\d{1,6})?)\s?(?:[\"″”]|''|′′))?"
)


def spelt_out(text: str) -> str:
    """Replaces the marks for feet and inches, and for minutes and seconds of arc, by names."""
    if _QUOTES.isdisjoint(text):
        return text
    text = _FEET.sub(r"\1 ft \2 in", text)
    return _ARC.sub(
        lambda found: f"{found[1]}{found[2]} arcminute" + (f" {found[3]} arcsecond" if found[3] else ""), text
    )


def part_unit(first: Unit, unit: Unit) -> Unit:
    """Returns the unit of the part after `first`: `m` after hours means minutes."""
    return _MINUTE if first == _HOUR and unit == _METER else unit


def share(value: Fraction, unit: Unit, of: Unit) -> Fraction | None:
    """Converts a part to the unit before it; None if that is not less than one, or the units do not form a compound."""
    if unit == of or len(unit.powers) != 1 or unit.offset or of.offset:
        return None
    try:
        part, one = converted(value, unit, of), converted(Fraction(1), unit, of)
    except UnitError:
        return None
    return part if part is not None and one is not None and 0 <= part < 1 and one < 1 else None
