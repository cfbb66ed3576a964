"""Names, dimensions and factors of units, from pint's tables; pint never parses a model's text.

Invariant: a unit is a product of names that are looked up one by one, each with a small integer power. Anything else is
not a unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pint import UnitRegistry
    from pint.util import UnitsContainer

MAX_FACTORS = 8
"""Most factors of a unit. Physical constants need up to five: W m^-2 K^-4, J mol^-1 K^-1."""
MAX_POWER = 9
MAX_NAME = 40

CELSIUS, FAHRENHEIT = "degree_Celsius", "degree_Fahrenheit"
_ZERO_KELVIN = {
    CELSIUS: (Fraction(1), Fraction("273.15")),
    FAHRENHEIT: (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
_CURRENCIES = (
    "dollar = [currency_dollar] = USD",
    "euro = [currency_euro] = EUR",
    "pound_sterling = [currency_sterling] = GBP",
    "yen = [currency_yen] = JPY",
    "rupee = [currency_rupee] = INR",
    "yuan = [currency_yuan] = CNY = RMB",
    "us_cent = 0.01 * dollar",
)
_SPELLINGS = {
    "degree": "° º",
    CELSIUS: "°C ℃ ºC degreesC degC celsius centigrade",
    FAHRENHEIT: "°F ℉ ºF degreesF degF fahrenheit",
    "kelvin": "°K",
    "arcminute": "′",
    "arcsecond": "″",
    "percent": "%",
    "permille": "‰",
    "angstrom": "Å",
    "ampere": "amp amps",
    "ohm": "Ω",
    "kiloohm": "kilohm kilohms",
    "megaohm": "megohm megohms",
    "kilogram": "Kg KG Kgs KGs",
    "kilometer": "Km KM",
    "centimeter": "CM",
    "second": "Sec SEC sec secs",
    "hertz": "hz HZ",
    "kilohertz": "khz KHz",
    "kilojoule": "KJ Kj",
    "kilowatt": "KW",
    "kilowatt_hour": "KWh",
    "kilopascal": "KPa Kpa kpa",
    "megapascal": "Mpa",
    "kilocalorie": "Cal",
    "astronomical_unit": "AU",
    "dalton": "amu u",
    "cubic_centimeter": "cc",
    "kilobyte": "KB",
    "light_year": "lightyear lightyears",
    "kilometer_per_hour": "kmh kmph",
    "turn": "rev revs revolution revolutions cycle cycles",
    "dollar": "$ bucks US$",
    "euro": "€",
    "pound_sterling": "£",
    "yen": "¥",
    "rupee": "₹",
    "us_cent": "¢ cent cents",
    "": "molecules atoms particles units unitless dimensionless",
}
"""Spellings that pint lacks, or reads as something that people seldom mean; the empty name is a plain count."""
_ALIASES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_JOINED = {
    "Nm": "N m",
    "NM": "N m",
    "mN": "mN",
    "kNm": "kN m",
    "Ns": "N s",
    "Pas": "Pa s",
    "Js": "J s",
    "Vs": "V s",
    "kgm": "kg m",
}
"""Symbols that people write without a space, and their factors."""
_CYCLES = frozenset(["turn", "revolutions_per_minute", "revolutions_per_second"])
_ANGLES = frozenset(["radian", "degree", "arcminute", "arcsecond", "gradian", "milliradian"])
_APART = (("hertz", "becquerel"), ("gray", "sievert"), ("candela", "lumen"))
"""Pairs of units with the same dimension that measure different things."""
_LOGARITHMIC = ("decibel", "bel", "neper", "decibelmilliwatt", "decibelmicrowatt", "octave", "decade")


class UnitError(ValueError):
    """There is no unit of this name, or the unit exceeds a limit."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Powers by canonical name; empty for a pure number."""

    powers: tuple[tuple[str, int], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.powers)

    @property
    def offset(self) -> bool:
        """Whether it is a temperature on a scale whose zero is not zero kelvin."""
        return len(self.powers) == 1 and self.powers[0][0] in _ZERO_KELVIN and self.powers[0][1] == 1


@lru_cache(4096)
def is_unit(name: str) -> bool:
    try:
        unit_of({name: 1})
    except UnitError:
        return False
    return True


def unit_of(factors: Mapping[str, int]) -> Unit:
    """Makes a unit from powers by name. Raises UnitError."""
    powers: dict[str, int] = {}
    for name, power in factors.items():
        for own in _JOINED.get(name, name).split():
            canonical = canonical_name(own)
            if canonical:
                powers[canonical] = powers.get(canonical, 0) + power
    kept = tuple(sorted((name, power) for name, power in powers.items() if power))
    if len(kept) > MAX_FACTORS or any(abs(power) > MAX_POWER for _, power in kept):
        raise UnitError("a unit of too many factors")
    return Unit(kept)


@cache
def canonical_name(name: str) -> str:
    """Returns the canonical name of a unit; empty for a plain count. Raises UnitError."""
    if len(name) > MAX_NAME:
        raise UnitError(f"{name[:MAX_NAME]!r} is not a unit")
    if name in _ALIASES:
        return _ALIASES[name]
    for own in (name, name.lower()) if len(name) > 3 or name.islower() else (name,):  # a long name is not a symbol
        if own in _ALIASES:
            return _ALIASES[own]
        try:
            return str(_registry().get_name(own))
        except (LookupError, AttributeError, ValueError):  # pint's UndefinedUnitError is an AttributeError
            continue
    raise UnitError(f"{name!r} is not a unit")


def converted(value: Fraction, source: Unit, target: Unit, *, difference: bool = False) -> Fraction | None:
    """Converts `value` to the unit `target`; None if the two units measure different things.

    Temperatures are points on their scales, unless `difference`. Raises UnitError if a factor overflows.
    """
    if source == target:
        return value
    if _measure_different(source, target) or _dimension(source) != _dimension(target):
        return None
    if not difference and _is_temperature(source):
        (own, own_zero), (other, other_zero) = _scale(source), _scale(target)
        return (value * own + own_zero - other_zero) / other
    ratio = _factor(source) / _factor(target)
    return value * ratio * _cycle_factor(source, target)


def _measure_different(one: Unit, other: Unit) -> bool:
    for left, right in _APART:
        for a, b in ((one, other), (other, one)):
            if _contains(a, left) and _contains(b, right):
                return True
    if any(name in _LOGARITHMIC for name in one.names | other.names):
        return True
    return any(_contains(a, "hertz") and b.names & _ANGLES for a, b in ((one, other), (other, one)))


def _cycle_factor(source: Unit, target: Unit) -> Fraction:
    """Returns the factor between turns and hertz: one turn per second is one hertz, although it is two pi radians per
    second.
    """
    if _contains(target, "hertz") and source.names & _CYCLES:
        return 1 / _factor(Unit((("turn", 1),)))
    if _contains(source, "hertz") and target.names & _CYCLES:
        return _factor(Unit((("turn", 1),)))
    return Fraction(1)


def _contains(unit: Unit, name: str) -> bool:
    """Whether the unit contains a name, with any prefix."""
    return any(own.endswith(name) for own in unit.names)


def _is_temperature(unit: Unit) -> bool:
    return unit.offset or _dimension(unit) == {("[temperature]", 1)}


def _scale(unit: Unit) -> tuple[Fraction, Fraction]:
    """Returns the kelvins per degree, and the kelvins at the scale's zero."""
    return _ZERO_KELVIN[unit.powers[0][0]] if unit.offset else (_factor(unit), Fraction(0))


@lru_cache(4096)
def _factor(unit: Unit) -> Fraction:
    """Returns the factor to root units. Raises UnitError."""
    if not unit.powers:
        return Fraction(1)
    try:
        factor = Fraction(cast("float", _registry().get_root_units(_container(unit))[0]))
    except (OverflowError, ValueError, ZeroDivisionError) as error:
        raise UnitError("a unit beyond the range of numbers") from error
    if not factor:
        raise UnitError("a unit beyond the range of numbers")
    return factor


@lru_cache(4096)
def _dimension(unit: Unit) -> frozenset[tuple[str, Any]]:
    return frozenset(_registry().get_dimensionality(_container(unit)).items())


def _container(unit: Unit) -> "UnitsContainer":
    from pint.util import UnitsContainer

    return UnitsContainer(dict(unit.powers))


@cache
def _registry() -> "UnitRegistry[float]":
    """Makes pint's registry, which takes 0.3 s: once per process, at the first unit."""
    from pint import UnitRegistry

    registry: UnitRegistry[float] = UnitRegistry()
    for line in _CURRENCIES:
        registry.define(line)
    return registry
