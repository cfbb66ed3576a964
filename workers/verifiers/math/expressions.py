"""Mathematical expressions by math-verify's LaTeX grammar, within limits that are checked before anything is parsed.

Invariant: no text is ever evaluated as Python. The grammar builds the expression; numbers are compared exactly or
to float noise, never by rounding to a few digits.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy
from latex2sympy2_extended.logic import And
from latex2sympy2_extended.sets import FiniteSet
from math_verify import LatexExtractionConfig, parse, verify
from sympy.core.function import AppliedUndef

from workers.verifiers.answers.numbers import FLOAT_NOISE, Number, read_number, same_number
from workers.verifiers.math.limits import LimitError, check_length, check_limits
from workers.verifiers.math.literals import (
    NOTHING,
    REALS,
    Based,
    Literal,
    Ratio,
    Residue,
    Words,
    read_literal,
    same_literal,
)
from workers.verifiers.math.notation import latex

__all__ = ["Expression", "LimitError", "Symbolic", "read", "same"]

ROUNDED_DECIMALS = 6
"""A decimal stands for 1/3 or pi where it gives at least so many decimals, all right."""
PRECISION = 60
"""Digits to which constants are compared."""
MAX_ELEMENTS = 100
"""Of sets that are compared element by element."""

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nobody keeps the time; the pool does
_NOISE = sympy.Rational(FLOAT_NOISE.numerator, FLOAT_NOISE.denominator)
_EQUAL = sympy.Rational(1, 10 ** (PRECISION - 20))
_ROUNDED = sympy.Rational(1, 10**ROUNDED_DECIMALS)
_CONFIG = [LatexExtractionConfig()]
_OR = re.compile(r"\s*(?:,\s*)?(?:\\text\{\s*or\s*\}|\\(?:l?or|vee)(?![a-z])|\bor\b)\s*")
_AND = re.compile(r",?\s+and\s+|,?\s*\\text\{\s*,?\s*and\s*\}\s*")
_INEQUALITY = re.compile(r"[<>]|\\(?:le|ge|lt|gt)(?:q|qslant)?(?![a-z])")
_IMAGINARY = sympy.Symbol("i", real=False)


@dataclass(frozen=True, slots=True)
class Symbolic:
    value: Any
    """A sympy expression, set, relation or matrix."""
    braced: bool = False
    """Written as a set, so that it is no tuple."""


Expression: TypeAlias = Number | Literal | Symbolic


def read(text: str) -> Expression | None:
    """None where the text is no expression. Raises LimitError."""
    check_length(text)
    text = latex(text)
    plain = read_number(text) or read_literal(text)
    if plain is not None:
        return plain
    check_limits(text)
    alternatives = _OR.split(text)
    if len(alternatives) > 1 and all(map(_INEQUALITY.search, alternatives)):
        return _union([_parsed(part) for part in alternatives])
    value = _parsed(_AND.sub(", ", ", ".join(alternatives)))
    return None if value is None else Symbolic(value, braced=text.startswith(r"\{"))


def same(gold: Expression, answer: Expression) -> bool:
    """Whether `answer` says what `gold` says; not symmetric where one is an equation and the other a value."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return same_number(gold, answer)
    if isinstance(gold, Symbolic) or isinstance(answer, Symbolic):
        return _same_symbolic(gold, answer)
    return same_literal(gold, answer)


def _parsed(text: str) -> Any | None:
    found = parse(f"${text}$", _CONFIG, fallback_mode="no_fallback", parsing_timeout=None)
    if not found:
        return None
    value = found[0]
    if isinstance(value, sympy.Expr) and _IMAGINARY in value.free_symbols:
        return value.subs(_IMAGINARY, sympy.I)
    return value


def _union(parts: list[Any]) -> Symbolic | None:
    """Of inequalities that bound one symbol by numbers: what other ones mean is not guessed."""
    sets = []
    for part in parts:
        bounds = part.args if isinstance(part, And) else [part]
        if len(getattr(part, "free_symbols", ())) != 1 or not all(map(_bounds, bounds)):
            return None
        sets.append(sympy.Intersection(*(bound.as_set() for bound in bounds)))
    return Symbolic(sympy.Union(*sets))


def _bounds(part: Any) -> bool:
    return isinstance(part, sympy.core.relational.Relational) and {True, False} == {
        isinstance(side, sympy.Symbol) for side in part.args
    }


def _same_symbolic(gold: Expression, answer: Expression) -> bool:
    if isinstance(gold, Words | Ratio | Based | Residue) or isinstance(answer, Words | Ratio | Based | Residue):
        words, other = (gold, answer) if isinstance(gold, Words) else (answer, gold)
        named = {NOTHING: sympy.S.EmptySet, REALS: sympy.S.Reals}.get(words.text) if isinstance(words, Words) else None
        return named is not None and isinstance(other, Symbolic) and bool(other.value == named)
    left, right = _sympy(gold), _sympy(answer)
    if not _consistent(right) or _is_set_and_tuple(gold, answer):
        return False
    right = _right_side(right, left)
    if right is None:
        return False
    left_value, right_value = _constant(left), _constant(right)
    if left_value is not None and right_value is not None:
        return _same_constant(gold, left_value, answer, right_value)
    return _same_structure(left, right)


def _same_structure(left: Any, right: Any) -> bool:
    """Constants within sets, tuples and intervals are compared as strictly as constants alone."""
    left_value, right_value = _constant(left), _constant(right)
    if left_value is not None and right_value is not None:
        return _same_element(left, left_value, right, right_value)
    if isinstance(left, sympy.FiniteSet | FiniteSet) and isinstance(right, sympy.FiniteSet | FiniteSet):
        return _same_sets(list(left.args), list(right.args))
    if isinstance(left, sympy.Tuple) and isinstance(right, sympy.Tuple):
        return len(left) == len(right) and all(map(_same_structure, left, right))
    if isinstance(left, sympy.Interval) and isinstance(right, sympy.Interval):
        ends = ((left.start, right.start), (left.end, right.end))
        opens = (left.left_open, left.right_open) == (right.left_open, right.right_open)
        return opens and all(one == other or _same_structure(one, other) for one, other in ends)
    return bool(verify(left, right, allow_set_relation_comp=True, timeout_seconds=None))


def _same_sets(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right) or len(left) > MAX_ELEMENTS:
        return left == right
    for one in left:
        index = next((n for n, other in enumerate(right) if one == other or _same_structure(one, other)), None)
        if index is None:
            return False
        right = right[:index] + right[index + 1 :]
    return True


def _is_set_and_tuple(gold: Expression, answer: Expression) -> bool:
    """`{1, 2}` and `(1, 2)`, either way round; a list without brackets may be either."""
    pair = [side for side in (gold, answer) if isinstance(side, Symbolic)]
    ordered = [isinstance(side.value, sympy.Tuple | sympy.Interval) for side in pair]
    braced = [side.braced and isinstance(side.value, sympy.FiniteSet | FiniteSet) for side in pair]
    return len(pair) == 2 and ((ordered[0] and braced[1]) or (braced[0] and ordered[1]))


def _sympy(value: Expression) -> Any:
    if isinstance(value, Number):
        return sympy.Rational(value.value.numerator, value.value.denominator)
    return value.value if isinstance(value, Symbolic) else None


def _equal_sides(relation: Any) -> list[Any]:
    parts = relation._unsorted_args if isinstance(relation, And) else [relation]  # noqa: SLF001  the written order
    return [side for part in parts if isinstance(part, sympy.Eq) for side in (part.lhs, part.rhs)]


def _consistent(answer: Any) -> bool:
    """`5 = 101` claims two values: the constant sides of a chain of equations must be equal."""
    constants = [value for value in map(_constant, _equal_sides(answer)) if value is not None]
    return all(abs(value - constants[0]) <= abs(constants[0]) * _NOISE for value in constants[1:])


def _right_side(answer: Any, gold: Any) -> Any | None:
    """`x = 7`, `7 = x` and `a + b = 7` answer a gold of 7; `2x = 7` says something of x and answers nothing: None."""
    sides = _equal_sides(answer)
    if not sides or isinstance(gold, sympy.Eq | And):
        return answer
    if isinstance(sides[-1], sympy.Symbol) and _constant(sides[0]) is not None:
        return sides[0]
    solves = len(sides) == 2 and _constant(sides[1]) is not None and len(getattr(sides[0], "free_symbols", ())) == 1
    named = isinstance(sides[0], sympy.Symbol | AppliedUndef | sympy.Abs | sympy.Limit)
    return None if solves and not named else sides[-1]


def _constant(value: Any) -> Any | None:
    """The expression's value where it is a finite real number without symbols, else None."""
    if not isinstance(value, sympy.Expr) or value.free_symbols:
        return None
    result = value.doit()
    result = result if isinstance(result, sympy.Rational) else result.evalf(PRECISION)
    return result if result.is_number and result.is_real and result.is_finite else None


def _same_constant(gold: Expression, left: Any, answer: Expression, right: Any) -> bool:
    for decimal, other, other_value in ((answer, gold, left), (gold, answer, right)):
        if isinstance(decimal, Number) and not _has_decimals(other):
            if decimal.decimals >= ROUNDED_DECIMALS and decimal.significant >= ROUNDED_DECIMALS:
                return _rounds(other_value, _sympy(decimal), decimal.decimals)
            if not decimal.decimals:
                return _equal(left, right)
    if not _has_decimals(gold) and not _has_decimals(answer):
        return _equal(left, right)
    return bool(abs(left - right) <= max(abs(left), abs(right)) * _NOISE)


def _rounds(value: Any, decimal: Any, places: int) -> bool:
    """Whether the decimal is the value rounded or cut off after so many places."""
    unit = sympy.Rational(1, 10**places)
    return bool(abs(value - decimal) <= unit / 2 or (value * decimal > 0 and 0 <= abs(value) - abs(decimal) < unit))


def _equal(left: Any, right: Any) -> bool:
    if left.is_Rational and right.is_Rational:
        return bool(left == right)
    return bool(abs(left - right) <= max(abs(left), abs(right)) * _EQUAL)


def _same_element(left: Any, left_value: Any, right: Any, right_value: Any) -> bool:
    """Within a set the digits of a decimal are lost: next to a number that no decimal gives, six right ones do."""
    difference, size = abs(left_value - right_value), max(abs(left_value), abs(right_value))
    floats = [side.has(sympy.Float) for side in (left, right)]
    if not any(floats):
        return _equal(left_value, right_value)
    if all(floats):
        return bool(difference <= size * _NOISE)
    exact = right if floats[0] else left
    terminates = exact.is_Rational and not set(sympy.primefactors(exact.q)) - {2, 5}
    return bool(difference <= size * (_NOISE if terminates else _ROUNDED))


def _has_decimals(value: Expression) -> bool:
    if isinstance(value, Number):
        return bool(value.decimals)
    return isinstance(value, Symbolic) and bool(value.value.atoms(sympy.Float))
