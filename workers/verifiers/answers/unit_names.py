"""Names of everyday units, so that `5 hrs` and `5 hours` agree and `$18` and `18 cents` do not.

Invariant: names only. Nothing is converted; the verifier `quantity` does that.
"""

import re

SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}

_NAMES = {
    "$": ("dollar", "usd", "buck"),
    "€": ("euro", "eur"),
    "£": ("pound sterling", "gbp"),
    "¥": ("yen", "jpy"),
    "cent": ("¢", "ct"),
    "°": ("degree", "deg"),
    "m": ("meter", "metre"),
    "cm": ("centimeter", "centimetre"),
    "mm": ("millimeter", "millimetre"),
    "km": ("kilometer", "kilometre"),
    "g": ("gram", "gramme"),
    "kg": ("kilogram", "kilo"),
    "mg": ("milligram",),
    "l": ("liter", "litre"),
    "ml": ("milliliter", "millilitre"),
    "s": ("sec", "second"),
    "min": ("minute",),
    "h": ("hour", "hr"),
    "day": (),
    "week": (),
    "month": (),
    "year": ("yr",),
    "in": ("inch", "inche"),
    "ft": ("foot", "feet"),
    "yd": ("yard",),
    "mile": ("mi",),
    "lb": ("pound",),
    "oz": ("ounce",),
    "mph": ("miles per hour",),
    "km/h": ("kmh", "kph", "kilometers per hour"),
    "m/s": ("meters per second",),
}
_BY_NAME = {alias: name for name, aliases in _NAMES.items() for alias in (name, *aliases)}
UNITS = "|".join(
    f"{re.escape(name)}s?"
    for name in sorted(_BY_NAME, key=len, reverse=True)
    if name.isascii() and len(name) > 1 and name != "in"
)
"""A pattern of the names that have no other meaning, the longest first."""


def known_unit(name: str) -> str | None:
    """The one name of a unit, singular or plural, in lower case."""
    return _BY_NAME.get(name) or _BY_NAME.get(name.removesuffix("s"))
