"""Mathematical expressions: what a text says as a value, and whether two of them say the same.

Invariant: limits are checked before anything is parsed. Numbers are compared exactly or to float noise, never by
rounding to a few digits; a decimal stands for 1/3 or pi only where it gives six decimals or more, all right.
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
from workers.verifiers.math.evaluation import Value, number
from workers.verifiers.math.limits import LimitError, check_length, check_limits
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
"""A decimal stands for 1/3 or pi where it gives at least so many decimals, all right."""
DOUBLE_DIGITS = range(15, 18)
"""Digits of a double as a program prints it: 0.8333333333333334."""
DOUBLE_NOISE = Fraction(1, 2**50)
"""Four roundings of a double, relative."""
APPROXIMATE = Fraction(1, 200)
"""What is written after `≈` may differ by so much from what stands before it."""
MAX_PARTS = 20
"""Parts of a list that is read part by part."""

_LITERALS = Words | Ratio | Based | Residue
_OR = re.compile(r"\s*(?:,\s*)?(?:\\text\{\s*or\s*\}|\\(?:l?or|vee)(?![a-z])|\bor\b)\s*")
_AND = re.compile(r",?\s+and\s+|,?\s*\\text\{\s*,?\s*and\s*\}\s*")
_APPROX = re.compile(r"\\(?:approx|approxeq|simeq|thickapprox)(?![a-z])")
_INEQUALITY = re.compile(r"[<>]|\\(?:le|ge|lt|gt)(?:q|qslant|slant)?(?![a-z])")
_COUNTED = re.compile(r"\s*(-?\$?[\d,]{1,20}(?:\.\d{1,20})?)\s+\(([A-Za-z][A-Za-z .'-]{0,60})\)\s*")
"""`51 (trucks)`, as data sets write what was counted."""
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
    """Written as a set, so that it is no tuple."""
    digits: float = 0.0
    """Those that the numbers on the way to the value may have."""
    unit: str = ""
    """The usual name of an everyday unit after it."""
    roughly: tuple[Number, ...] = ()
    """Decimals that are written after it with `≈`."""
    qualifier: Qualifier | None = None
    """What is said of its letters after it: `for odd k`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Several things that no one set holds: `R = 1, I = (-1, 1)`."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Piecewise:
    rows: tuple[tuple["Expression", "Expression"], ...]
    """Values and the conditions under which they hold."""


Expression: TypeAlias = Number | Literal | Symbolic | Listed | Piecewise


def read(text: str) -> Expression | None:
    """None where the text is no expression. Raises LimitError."""
    check_length(text)
    counted = _COUNTED.fullmatch(text)
    if counted and not _DOUBTED.search(counted[2]):
        text = f"{counted[1]} {counted[2]}" if known_unit(counted[2].casefold()) else counted[1]
    text = latex(text)
    return _plain(text) or _read(text)


def read_gold(text: str) -> Expression | None:
    """As `read`; what is no expression and yet no prose must be given as it stands. Raises LimitError."""
    found = read(text)
    if found is None and text.count("{") > text.count("}"):
        found = read(text + "}" * (text.count("{") - text.count("}")))
    return found or verbatim(latex(text))


def same(gold: Expression, answer: Expression) -> bool:
    """Whether `answer` says what `gold` says; not symmetric where one is an equation and the other a value."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return same_number(gold, answer)
    if isinstance(gold, Listed | Piecewise) or isinstance(answer, Listed | Piecewise):
        return _same_parts(gold, answer)
    if isinstance(gold, Verbatim) or isinstance(answer, Verbatim):
        return gold == answer
    if isinstance(gold, Symbolic) or isinstance(answer, Symbolic):
        return _same_symbolic(gold, answer)
    return same_literal(gold, answer)


def _plain(text: str) -> Number | Literal | None:
    return read_number(text) or read_literal(text)


def _read(text: str, *, whole: bool = True) -> Expression | None:
    """Of text in the notation of `latex`; `whole`: it may be a list of things that no one set holds."""
    rows = cases(text)
    if rows:
        return _piecewise(rows)
    digits = check_limits(text)
    rough = _APPROX.split(text)
    if len(rough) > 1:
        return _approximation(rough)
    bare, qualifier = qualified(text)
    found = None if qualifier else _symbolic(text, digits)
    if found is not None:
        return found
    if qualifier is not None and bare:
        plain = _plain(bare) or _read(bare)
        if isinstance(plain, Number):
            return Symbolic(_sympy(plain), qualifier=qualifier)
        return replace(plain, qualifier=qualifier) if isinstance(plain, Symbolic) else plain
    return _listed(text) if whole else None


def _symbolic(text: str, digits: float) -> Symbolic | None:
    alternatives = _OR.split(text)
    if len(alternatives) > 1 and all(map(_INEQUALITY.search, alternatives)):
        return _union([_parsed(part) for part in alternatives], digits)
    joined = signs(_AND.sub(", ", ", ".join(alternatives)))
    braced = text.startswith(r"\{")
    before = without_unit(joined)
    if before is not None:
        value = _parsed(before[0])
        if value is not None:
            return Symbolic(value, braced=braced, digits=digits, unit=before[1])
    value = _parsed(joined)
    return None if value is None else Symbolic(value, braced=braced, digits=digits)


def _parsed(text: str) -> Any | None:
    value = parsed(text)
    if isinstance(value, sympy.Expr) and _IMAGINARY in value.free_symbols:
        return value.subs(_IMAGINARY, sympy.I)
    return value


def _approximation(rough: list[str]) -> Symbolic | None:
    """`40/3 ≈ 13.33` is 40/3; `x ≈ 3.14` says what x is."""
    first = rough[0].strip()
    numbers = [read_number(part) for part in rough[1:]]
    value = _read(first, whole=False) if first else None
    if isinstance(value, Symbolic) and _is_name(value.value) and len(rough) == 2:
        joined = f"{first}={rough[1]}"
        return _symbolic(joined, check_limits(joined))
    if not isinstance(value, Symbolic) or not all(numbers):
        return None
    return replace(value, roughly=tuple(own for own in numbers if own is not None))


def _is_name(value: Any) -> bool:
    return isinstance(value, sympy.Expr) and not is_relation(value) and constant(value) is None


def _piecewise(rows: list[tuple[str, str]]) -> Expression | None:
    """Rows without conditions are a system: a list of equations."""
    if not any(condition for _, condition in rows):
        return _read(", ".join(value for value, _ in rows))
    found = []
    for value, condition in rows:
        pair = (_plain(value) or _read(value), _plain(condition) or _read(condition) or verbatim(condition))
        if pair[0] is None or pair[1] is None:
            return None
        found.append((pair[0], pair[1]))
    return Piecewise(tuple(found))


def _listed(text: str) -> Listed | None:
    split = parts(text)
    if not 1 < len(split) <= MAX_PARTS:
        return None
    found = [_plain(part) or _read(part, whole=False) for part in split]
    read_parts = tuple(part for part in found if part is not None and not isinstance(part, Verbatim))
    return Listed(read_parts) if len(read_parts) == len(split) else None


def _union(bounds: list[Any], digits: float) -> Symbolic | None:
    """Of inequalities that bound one symbol by numbers: what other ones mean is not guessed."""
    seed_algebra()
    sets = []
    for part in bounds:
        relations = part.args if isinstance(part, And) else [part]
        if len(getattr(part, "free_symbols", ())) != 1 or not all(map(_bounds, relations)):
            return None
        try:
            sets.append(sympy.Intersection(*(bound.as_set() for bound in relations)))
        except (TypeError, ValueError, NotImplementedError):  # bounds that are no real numbers
            return None
    return Symbolic(sympy.Union(*sets), digits=digits)


def _bounds(part: Any) -> bool:
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
    left, given = by_component(_sympy(gold)), by_component(_sympy(answer))
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
    """A decimal that the gold gives after `≈` answers it; one that the answer gives answers a decimal."""
    if any(same(rough, answer) for rough in _roughly(gold)):
        return True
    decimal = isinstance(gold, Number) and gold.decimals
    return bool(decimal) and any(same(gold, rough) for rough in _roughly(answer))


def _roughly(value: Expression) -> tuple[Number, ...]:
    return value.roughly if isinstance(value, Symbolic) else ()


def _digits(value: Expression) -> float:
    return value.digits if isinstance(value, Symbolic) else 0.0


def _rough_agrees(answer: Expression) -> bool:
    """A decimal after `≈` must be near to what stands before it, or it is a second answer."""
    value = constant(_sympy(answer), _digits(answer)) if _roughly(answer) else None
    return all(value is not None and near(value, rough.value, APPROXIMATE) for rough in _roughly(answer))


def _unit_agrees(gold: Expression, answer: Expression) -> bool:
    """A missing unit is forgiven, another one is not."""
    units = [side.unit for side in (gold, answer) if isinstance(side, Symbolic | Number)]
    return len(units) < len((gold, answer)) or not all(units) or units[0] == units[1]


def _qualifiers_agree(gold: Expression, answer: Expression) -> bool:
    own, other = (side.qualifier if isinstance(side, Symbolic) else None for side in (gold, answer))
    if own is None or other is None:
        return not (own or other or Qualifier()).kinds
    return own.kinds == other.kinds and (not own.bounds or not other.bounds or own.bounds == other.bounds)


def _is_set_and_tuple(gold: Expression, answer: Expression) -> bool:
    """`{1, 2}` and `(1, 2)`, either way round; a list without brackets may be either."""
    pair = [side for side in (gold, answer) if isinstance(side, Symbolic)]
    ordered = [isinstance(side.value, sympy.Tuple | sympy.Interval) for side in pair]
    braced = [side.braced and is_finite_set(side.value) for side in pair]
    return len(pair) == 2 and ((ordered[0] and braced[1]) or (braced[0] and ordered[1]))


def _sympy(value: Expression) -> Any:
    if isinstance(value, Number):
        return sympy.Rational(value.value.numerator, value.value.denominator)
    return value.value if isinstance(value, Symbolic) else None


def _same_constant(gold: tuple[Expression, Value], answer: tuple[Expression, Value], digits: float) -> bool:
    (own, left), (given, right) = gold, answer
    for decimal, other, other_value in ((given, own, left), (own, given, right)):
        if isinstance(decimal, Number) and not _has_decimals(other):
            if decimal.places >= ROUNDED_DECIMALS and decimal.significant >= ROUNDED_DECIMALS:
                return _rounds(other_value, decimal)
            if not decimal.decimals:
                return equal(left, right, digits)
    if not _has_decimals(own) and not _has_decimals(given):
        return equal(left, right, digits)
    return near(left, right, FLOAT_NOISE)


def _rounds(value: Value, decimal: Number) -> bool:
    """Whether the decimal is the value rounded or cut off after its last place, or the nearest double to it."""
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
