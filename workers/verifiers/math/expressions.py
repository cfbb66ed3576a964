"""Mathematical expressions: reads a text as a value, and compares two of them.

Invariant: limits are checked before anything is parsed. Numbers are compared exactly or to float noise, never by
rounding to a few digits; a decimal equals 1/3 or pi only if it has six decimals or more, all of them right.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import sympy
from latex2sympy2_extended.logic import And

from workers.verifiers.answers.numbers import FLOAT_NOISE, Number, read_number, same_number
from workers.verifiers.answers.unit_names import known_unit
from workers.verifiers.math.agreement import DIGITS, constant, equal, near
from workers.verifiers.math.comparison import (
    by_component,
    consistent,
    is_finite_set,
    is_relation,
    right_side,
    same_value,
    seed_algebra,
)
from workers.verifiers.math.expression_limits import LimitError, check_length, check_limits
from workers.verifiers.math.expression_values import Value, number
from workers.verifiers.math.literals import (
    NOTHING,
    REALS,
    Based,
    Literal,
    Ratio,
    Residue,
    Verbatim,
    Words,
    read_literal,
    same_literal,
    verbatim,
)
from workers.verifiers.math.notation import latex
from workers.verifiers.math.parsing import parsed, without_unit
from workers.verifiers.math.structure import Qualifier, cases, parts, qualified, signs

__all__ = ["Expression", "LimitError", "Symbolic", "read", "read_gold", "same"]

ROUNDED_DECIMALS = 6
"""Fewest decimals of a number that may equal 1/3 or pi; all of them must be right."""
DOUBLE_DIGITS = range(15, 18)
"""Numbers of digits with which programs print a double: 0.8333333333333334."""
DOUBLE_NOISE = Fraction(1, 2**50)
"""Relative error of four roundings of a double."""
APPROXIMATE = Fraction(1, 200)
"""Largest relative difference between a number after `≈` and the value before it."""
MAX_PARTS = 20
"""Most parts of a list that is read part by part."""

_LITERALS = Words | Ratio | Based | Residue
_OR = re.compile(r"\s*(?:,\s*)?(?:\\text\{\s*or\s*\}|\\(?:l?or|vee)(?![a-z])|\bor\b)\s*")
_AND = re.compile(r",?\s+and\s+|,?\s*\\text\{\s*,?\s*and\s*\}\s*")
_APPROX = re.compile(r"\\(?:approx|approxeq|simeq|thickapprox)(?![a-z])")
_INEQUALITY = re.compile(r"[<>]|\\(?:le|ge|lt|gt)(?:q|qslant|slant)?(?![a-z])")
_COUNTED = re.compile(r"\s*(-?\$?[\d,]{1,20}(?:\.\d{1,20})?)\s+\(([A-Za-z][A-Za-z .'-]{0,60})\)\s*")
"""A number and what it counts, as data sets write it: `51 (trucks)`."""
_DOUBTED = re.compile(
    r"\b(?:not?|or|un\w+|maybe|perhaps|possibly|probably|guess\w*|wrong|false|incorrect|mod|if|but|else|approx\w*|think"
    r"|suppose\w*|assum\w*|likely|could|might|million|billion|thousand|hundred|dozen|trillion|[a-e])\b",
    re.IGNORECASE,
)
_IMAGINARY = sympy.Symbol("i", real=False)


@dataclass(frozen=True, slots=True)
class Symbolic:
    value: Any
    """A sympy expression, set, relation or matrix."""
    braced: bool = False
    """Whether it is written as a set, so that it is not a tuple."""
    digits: float = 0.0
    """Most digits that intermediate numbers may have."""
    unit: str = ""
    """Usual name of the everyday unit after it; empty if there is none."""
    roughly: tuple[Number, ...] = ()
    """Decimals written after it with `≈`."""
    qualifier: Qualifier | None = None
    """Condition on its letters, written after it: `for odd k`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Several values that do not form one set: `R = 1, I = (-1, 1)`."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Piecewise:
    rows: tuple[tuple["Expression", "Expression"], ...]
    """Pairs of a value and the condition under which it holds."""


Expression: TypeAlias = Number | Literal | Symbolic | Listed | Piecewise


def read(text: str) -> Expression | None:
    """Reads a text; None if it is not an expression. Raises LimitError."""
    check_length(text)
    counted = _COUNTED.fullmatch(text)
    if counted and not _DOUBTED.search(counted[2]):
        text = f"{counted[1]} {counted[2]}" if known_unit(counted[2].casefold()) else counted[1]
    text = latex(text)
    return _read_plain(text) or _read_latex(text)


def read_gold(text: str) -> Expression | None:
    """Reads a gold like `read`. A gold that is neither an expression nor prose must be answered by the same text.

    Raises LimitError.
    """
    found = read(text)
    if found is None and text.count("{") > text.count("}"):
        found = read(text + "}" * (text.count("{") - text.count("}")))
    return found or verbatim(latex(text))


def same(gold: Expression, answer: Expression) -> bool:
    """Whether `answer` equals `gold`; not symmetric if one is an equation and the other a value."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return same_number(gold, answer)
    if isinstance(gold, Listed | Piecewise) or isinstance(answer, Listed | Piecewise):
        return _same_parts(gold, answer)
    if isinstance(gold, Verbatim) or isinstance(answer, Verbatim):
        return gold == answer
    if isinstance(gold, Symbolic) or isinstance(answer, Symbolic):
        return _same_symbolic(gold, answer)
    return same_literal(gold, answer)


def _read_plain(text: str) -> Number | Literal | None:
    return read_number(text) or read_literal(text)


def _read_latex(text: str, *, whole: bool = True) -> Expression | None:
    """Reads text in the notation of `latex`. If `whole`, it may be a list of values that do not form one set."""
    rows = cases(text)
    if rows:
        return _read_piecewise(rows)
    digits = check_limits(text)
    rough = _APPROX.split(text)
    if len(rough) > 1:
        return _read_approximation(rough)
    bare, qualifier = qualified(text)
    found = None if qualifier else _read_symbolic(text, digits)
    if found is not None:
        return found
    if qualifier is not None and bare:
        plain = _read_plain(bare) or _read_latex(bare)
        if isinstance(plain, Number):
            return Symbolic(_to_sympy(plain), qualifier=qualifier)
        return replace(plain, qualifier=qualifier) if isinstance(plain, Symbolic) else plain
    return _read_list(text) if whole else None


def _read_symbolic(text: str, digits: float) -> Symbolic | None:
    alternatives = _OR.split(text)
    if len(alternatives) > 1 and all(map(_INEQUALITY.search, alternatives)):
        return _unite_bounds([_parse_value(part) for part in alternatives], digits)
    joined = signs(_AND.sub(", ", ", ".join(alternatives)))
    braced = text.startswith(r"\{")
    before = without_unit(joined)
    if before is not None:
        value = _parse_value(before[0])
        if value is not None:
            return Symbolic(value, braced=braced, digits=digits, unit=before[1])
    value = _parse_value(joined)
    return None if value is None else Symbolic(value, braced=braced, digits=digits)


def _parse_value(text: str) -> Any | None:
    value = parsed(text)
    if isinstance(value, sympy.Expr) and _IMAGINARY in value.free_symbols:
        return value.subs(_IMAGINARY, sympy.I)
    return value


def _read_approximation(rough: list[str]) -> Symbolic | None:
    """Reads `40/3 ≈ 13.33` as 40/3, and `x ≈ 3.14` as an equation for x."""
    first = rough[0].strip()
    numbers = [read_number(part) for part in rough[1:]]
    value = _read_latex(first, whole=False) if first else None
    if isinstance(value, Symbolic) and _is_name(value.value) and len(rough) == 2:
        joined = f"{first}={rough[1]}"
        return _read_symbolic(joined, check_limits(joined))
    if not isinstance(value, Symbolic) or not all(numbers):
        return None
    return replace(value, roughly=tuple(own for own in numbers if own is not None))


def _is_name(value: Any) -> bool:
    return isinstance(value, sympy.Expr) and not is_relation(value) and constant(value) is None


def _read_piecewise(rows: list[tuple[str, str]]) -> Expression | None:
    """Reads cases; rows without conditions are a system, which is a list of equations."""
    if not any(condition for _, condition in rows):
        return _read_latex(", ".join(value for value, _ in rows))
    found = []
    for value, condition in rows:
        pair = (
            _read_plain(value) or _read_latex(value),
            _read_plain(condition) or _read_latex(condition) or verbatim(condition),
        )
        if pair[0] is None or pair[1] is None:
            return None
        found.append((pair[0], pair[1]))
    return Piecewise(tuple(found))


def _read_list(text: str) -> Listed | None:
    split = parts(text)
    if not 1 < len(split) <= MAX_PARTS:
        return None
    found = [_read_plain(part) or _read_latex(part, whole=False) for part in split]
    read_parts = tuple(part for part in found if part is not None and not isinstance(part, Verbatim))
    return Listed(read_parts) if len(read_parts) == len(split) else None


def _unite_bounds(bounds: list[Any], digits: float) -> Symbolic | None:
    """Returns the union of inequalities that bound one symbol by numbers; None for others, whose meaning is not
    guessed.
    """
    seed_algebra()
    sets = []
    for part in bounds:
        relations = part.args if isinstance(part, And) else [part]
        if len(getattr(part, "free_symbols", ())) != 1 or not all(map(_is_bound, relations)):
            return None
        try:
            sets.append(sympy.Intersection(*(bound.as_set() for bound in relations)))
        except (TypeError, ValueError, NotImplementedError):  # bounds that are not real numbers
            return None
    return Symbolic(sympy.Union(*sets), digits=digits)


def _is_bound(part: Any) -> bool:
    return isinstance(part, sympy.core.relational.Relational) and {True, False} == {
        isinstance(side, sympy.Symbol) for side in part.args
    }


def _same_parts(gold: Expression, answer: Expression) -> bool:
    if isinstance(gold, Piecewise) and isinstance(answer, Piecewise):
        rest = list(answer.rows)
        for value, condition in gold.rows:
            index = next((n for n, own in enumerate(rest) if same(value, own[0]) and same(condition, own[1])), None)
            if index is None:
                return False
            rest.pop(index)
        return not rest
    if isinstance(gold, Listed) and isinstance(answer, Listed) and len(gold.parts) == len(answer.parts):
        left = list(answer.parts)
        for part in gold.parts:
            index = next((n for n, own in enumerate(left) if same(part, own)), None)
            if index is None:
                return False
            left.pop(index)
        return True
    return False


def _same_symbolic(gold: Expression, answer: Expression) -> bool:
    if isinstance(gold, _LITERALS) or isinstance(answer, _LITERALS):
        words, other = (gold, answer) if isinstance(gold, Words) else (answer, gold)
        named = {NOTHING: sympy.S.EmptySet, REALS: sympy.S.Reals}.get(words.text) if isinstance(words, Words) else None
        return named is not None and isinstance(other, Symbolic) and bool(other.value == named)
    if not _unit_agrees(gold, answer) or not _qualifiers_agree(gold, answer) or not _rough_agrees(answer):
        return False
    return _is_rough_value(gold, answer) or _same_values(gold, answer)


def _same_values(gold: Expression, answer: Expression) -> bool:
    digits = max(_digits(gold), _digits(answer))
    left, given = by_component(_to_sympy(gold)), by_component(_to_sympy(answer))
    if not consistent(given, digits) or _is_set_and_tuple(gold, answer):
        return False
    right = right_side(given, left)
    if right is None:
        return False
    left_value, right_value = constant(left, digits), constant(right, digits)
    if left_value is not None and right_value is not None:
        return _same_constant((gold, left_value), (answer, right_value), digits)
    return same_value(left, right, digits)


def _is_rough_value(gold: Expression, answer: Expression) -> bool:
    """Whether the answer equals a decimal that the gold gives after `≈`, or a decimal gold equals one of the
    answer's.
    """
    if any(same(rough, answer) for rough in _rough_values(gold)):
        return True
    decimal = isinstance(gold, Number) and gold.decimals
    return bool(decimal) and any(same(gold, rough) for rough in _rough_values(answer))


def _rough_values(value: Expression) -> tuple[Number, ...]:
    return value.roughly if isinstance(value, Symbolic) else ()


def _digits(value: Expression) -> float:
    return value.digits if isinstance(value, Symbolic) else 0.0


def _rough_agrees(answer: Expression) -> bool:
    """Whether each decimal after `≈` is near the value before it; if not, it is a second answer."""
    value = constant(_to_sympy(answer), _digits(answer)) if _rough_values(answer) else None
    return all(value is not None and near(value, rough.value, APPROXIMATE) for rough in _rough_values(answer))


def _unit_agrees(gold: Expression, answer: Expression) -> bool:
    """Whether the units agree; a missing unit is accepted, a different one is not."""
    units = [side.unit for side in (gold, answer) if isinstance(side, Symbolic | Number)]
    return len(units) < len((gold, answer)) or not all(units) or units[0] == units[1]


def _qualifiers_agree(gold: Expression, answer: Expression) -> bool:
    own, other = (side.qualifier if isinstance(side, Symbolic) else None for side in (gold, answer))
    if own is None or other is None:
        return not (own or other or Qualifier()).kinds
    return own.kinds == other.kinds and (not own.bounds or not other.bounds or own.bounds == other.bounds)


def _is_set_and_tuple(gold: Expression, answer: Expression) -> bool:
    """Whether one is `{1, 2}` and the other `(1, 2)`; a list without brackets may be either."""
    pair = [side for side in (gold, answer) if isinstance(side, Symbolic)]
    ordered = [isinstance(side.value, sympy.Tuple | sympy.Interval) for side in pair]
    braced = [side.braced and is_finite_set(side.value) for side in pair]
    return len(pair) == 2 and ((ordered[0] and braced[1]) or (braced[0] and ordered[1]))


def _to_sympy(value: Expression) -> Any:
    if isinstance(value, Number):
        return sympy.Rational(value.value.numerator, value.value.denominator)
    return value.value if isinstance(value, Symbolic) else None


def _same_constant(gold: tuple[Expression, Value], answer: tuple[Expression, Value], digits: float) -> bool:
    (own, left), (given, right) = gold, answer
    for decimal, other, other_value in ((given, own, left), (own, given, right)):
        if isinstance(decimal, Number) and not _has_decimals(other):
            if decimal.places >= ROUNDED_DECIMALS and decimal.significant >= ROUNDED_DECIMALS:
                return _is_rounding(other_value, decimal)
            if not decimal.decimals:
                return equal(left, right, digits)
    if not _has_decimals(own) and not _has_decimals(given):
        return equal(left, right, digits)
    return near(left, right, FLOAT_NOISE)


def _is_rounding(value: Value, decimal: Number) -> bool:
    """Whether the decimal is the value rounded or truncated at the decimal's last place, or the nearest double
    to it.
    """
    if decimal.significant in DOUBLE_DIGITS and near(value, decimal.value, DOUBLE_NOISE):
        return True
    with mpmath.workdps(DIGITS):
        exact, written, unit = number(value), number(decimal.value), number(decimal.step)
        cut = mpmath.re(exact) * written > 0 and 0 <= abs(exact) - abs(written) < unit
        return bool(mpmath.im(exact) == 0 and (abs(exact - written) <= unit / 2 or cut))


def _has_decimals(value: Expression) -> bool:
    if isinstance(value, Number):
        return bool(value.decimals)
    return isinstance(value, Symbolic) and bool(value.value.atoms(sympy.Float))
