"""Decides whether two written quantities agree.

Invariant: agreement is decided exactly, on fractions; only unit factors are floats, and their noise is allowed for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, Self

from workers.verifiers.base import OptionsError, flag
from workers.verifiers.quantity.grammar import Quantity
from workers.verifiers.quantity.units import CELSIUS, FAHRENHEIT, Unit, converted

NOISE = Fraction(1, 10**12)
"""Relative error of products of unit factors: some thousand roundings of a double."""
DOUBLE_FIGURES = 15
"""Fewest figures of a number that is a printed double, such as 0.30000000000000004."""
CLOSEST = Fraction(1, 100)
"""Largest relative difference of roundings. Rounding to two figures changes a number by up to 5 %, but roundings that
differ by more than one per cent are different answers."""
FEWEST_FIGURES = 2
FEWEST_FIGURES_INTEGER = 3
"""More than FEWEST_FIGURES, since a short integer is often exact: 12 V is not 12.4 V, while 343 m/s is 343.2 m/s."""
_DIMENSIONLESS = Unit()


@dataclass(frozen=True, slots=True)
class Tolerance:
    relative: Fraction | None = None
    absolute: Fraction | None = None
    unit_required: bool = True
    difference: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Reads the tolerance from a question's options. Raises OptionsError."""
        return cls(
            _read_share(options, "relative"),
            _read_share(options, "absolute"),
            flag(options, "unit_required", default=True),
            flag(options, "difference"),
        )

    def differs(self, gold: Quantity, answer: Quantity) -> str | None:
        """Returns why the answer does not agree with the reference, or None. Raises UnitError."""
        if gold.unit is None:
            values = _unitless_values(answer)
            return None if any(self._close(gold, answer, value, gold.value) for value in values) else "another value"
        unit = answer.unit
        if unit is None:
            if self.unit_required and converted(Fraction(1), _DIMENSIONLESS, gold.unit) is None:
                return "its unit is missing"
            unit = _DIMENSIONLESS if self.unit_required else gold.unit
        for own, target in product(_readings(unit), _readings(gold.unit)):
            value = converted(answer.value, own, target, difference=self.difference)
            back = converted(gold.value, target, own, difference=self.difference)
            if value is not None and back is not None:
                return None if self._close(gold, answer, value, back) else "another value"
        return "another dimension"

    def _close(self, gold: Quantity, answer: Quantity, value: Fraction, back: Fraction) -> bool:
        """Whether the two agree; `value` is the answer in the reference's unit, `back` the reference in the
        answer's.
        """
        gap = abs(value - gold.value)
        noise = NOISE * max(abs(value), abs(gold.value))
        if self.relative is not None or self.absolute is not None:
            return gap <= max((self.relative or 0) * abs(gold.value), self.absolute or 0) + noise
        computed = value != answer.value or (not answer.integer and (answer.figures or 0) >= DOUBLE_FIGURES)
        if gap <= (noise if computed else 0):
            return True
        near = gap <= CLOSEST * abs(gold.value)
        return near and (_is_rounded_to(back, answer) or _is_rounded_to(value, gold))


def _is_rounded_to(value: Fraction, written: Quantity) -> bool:
    """Whether `written` is `value` rounded to the figures that `written` has."""
    if written.figures is None:
        return False
    enough = FEWEST_FIGURES_INTEGER if written.integer else FEWEST_FIGURES
    return written.figures >= enough and abs(value - written.value) <= written.step / 2 * (1 + NOISE)


def _unitless_values(answer: Quantity) -> list[Fraction]:
    """Returns the numbers that may answer a reference without a unit: the answer's number, and a share also as a
    fraction.
    """
    if answer.unit is None:
        return [answer.value]
    share = converted(answer.value, answer.unit, _DIMENSIONLESS)
    return [answer.value] if share is None else [answer.value, share]


def _readings(unit: Unit) -> list[Unit]:
    """Returns the units that the writing may mean: `ms^-1` also means m s^-1; `C` and `F` also mean degrees."""
    powers = dict(unit.powers)
    readings = [unit]
    if powers.get("millisecond", 0) < 0:
        rest = {name: power for name, power in powers.items() if name != "millisecond"}
        rest["second"] = powers["millisecond"]
        rest["meter"] = rest.get("meter", 0) + 1
        readings.append(Unit(tuple(sorted(rest.items()))))
    if unit.powers == (("coulomb", 1),):
        readings.append(Unit(((CELSIUS, 1),)))
    if unit.powers == (("farad", 1),):
        readings.append(Unit(((FAHRENHEIT, 1),)))
    return readings


def _read_share(options: Mapping[str, Any], name: str) -> Fraction | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise OptionsError(f"option {name} must be a number of 0 or more, not {value!r}")
    return Fraction(value)
