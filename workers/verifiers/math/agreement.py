"""Equality of two values, and of two expressions with symbols at every point at which both have a value.

Invariant: fractions are compared exactly. Other numbers are compared to DIGITS digits more than the size of
intermediate numbers can hide, so that `e^{100} + 1` is not `e^{100}`.
"""

from fractions import Fraction
from typing import Any

import mpmath
import sympy
from sympy.core.function import AppliedUndef

from workers.verifiers.math.expression_values import POINTS, POSITIVE, NoValueError, Value, evaluate, number

MAX_DIGITS = 3000
"""Most digits of intermediate numbers. Above it, expressions are the same only if they are written the same, unless
they are fractions."""
DIGITS = 60
"""Digits that are computed beyond those that a value's size takes; two thirds of them must agree."""

_FLOATS = Fraction(1, 10**12)
"""Largest relative difference of expressions with decimals."""


def constant(value: Any, digits: float = 0.0) -> Value | None:
    """Returns the expression's value; None if it is not finite or has symbols."""
    if not isinstance(value, sympy.Expr) or value.free_symbols or value.has(AppliedUndef):
        return None
    with mpmath.workdps(_precision(digits)):
        try:
            return evaluate(value)
        except NoValueError:
            return None


def equal(left: Value, right: Value, digits: float = 0.0) -> bool:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    if digits > MAX_DIGITS:
        return False
    with mpmath.workdps(_precision(digits)):
        return bool(abs(number(left) - number(right)) <= _tolerance(digits))


def near(left: Value, right: Value, share: Fraction) -> bool:
    """Whether the two differ by at most a share of the larger one."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return abs(left - right) <= share * max(abs(left), abs(right))
    with mpmath.workdps(DIGITS):
        size = max(abs(number(left)), abs(number(right)))
        return bool(abs(number(left) - number(right)) <= number(share) * size)


def agree(left: Any, right: Any, digits: float) -> bool | None:
    """Whether the two are equal at every point at which both have a value; None if there is no such point."""
    if digits > MAX_DIGITS:
        return False
    floats = left.has(sympy.Float) or right.has(sympy.Float)
    compared = 0
    with mpmath.workdps(_precision(digits)):
        tolerance = number(_FLOATS) if floats else _tolerance(digits)
        for index in range(POINTS):
            try:
                one, other = number(evaluate(left, index)), number(evaluate(right, index))
            except NoValueError:
                continue
            if abs(one - other) > tolerance * (max(abs(one), abs(other)) if floats else 1):
                return False
            compared += 1
    return True if compared else None


def factor(lhs: Any, rhs: Any, other_lhs: Any, other_rhs: Any, *, digits: float) -> Any | None:
    """Returns the real number by which `lhs - rhs` must be multiplied to be `other_lhs - other_rhs` at every point;
    None if there is no such number.
    """
    sides = (lhs, rhs, other_lhs, other_rhs)
    if digits > MAX_DIGITS or _names(lhs, rhs) != _names(other_lhs, other_rhs):
        return None
    floats = any(side.has(sympy.Float) for side in sides)
    factors = []
    with mpmath.workdps(_precision(digits)):
        for index in range(POINTS):
            try:
                values = [number(evaluate(side, index)) for side in sides]
            except NoValueError:
                continue
            one, other = values[0] - values[1], values[2] - values[3]
            if not one or not other:
                return None
            factors.append(other / one)
        if len(factors) < POSITIVE or not _is_real(factors[0]):
            return None
        tolerance = abs(factors[0]) * (number(_FLOATS) if floats else mpmath.mpf(10) ** (-DIGITS // 2))
        alike = all(abs(own - factors[0]) <= tolerance for own in factors)
        return mpmath.re(factors[0]) if alike else None


def _names(*sides: Any) -> set[str]:
    return {str(symbol) for side in sides for symbol in side.free_symbols}


def _precision(digits: float) -> int:
    return DIGITS + 2 * int(min(digits, MAX_DIGITS))


def _tolerance(digits: float) -> Any:
    return mpmath.mpf(10) ** -(DIGITS * 2 // 3 + int(digits))


def _is_real(value: Any) -> bool:
    return bool(abs(mpmath.im(value)) <= mpmath.mpf(10) ** (-DIGITS * 2 // 3) * max(1, abs(value)))
