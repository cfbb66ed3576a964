r"""Whether two objects of the algebra library have the same meaning.

Invariant: the result is a function of the two. Constants are compared exactly, or to more digits than their size can
hide; expressions with symbols are compared at fixed points, not by rewriting them. The library's random numbers start
from one seed.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy
from latex2sympy2_extended import is_expr_of_only_symbols
from latex2sympy2_extended.logic import And
from latex2sympy2_extended.sets import FiniteSet
from math_verify import verify
from sympy.core import random as sympy_random
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from workers.verifiers.answers.numbers import FLOAT_NOISE
from workers.verifiers.math.agreement import MAX_DIGITS, agree, constant, equal, factor, near
from workers.verifiers.math.expression_values import LAZY, Value

MAX_ELEMENTS = 100
"""Most elements of sets that are compared element by element."""
ROUNDED = Fraction(1, 10**6)
"""Relative difference from a number that no decimal expresses. Within a set it is not known how many digits a decimal
was written with, so six right ones are enough.
"""

_INTEGRATION_CONSTANTS = frozenset(["c", "k", "c_1", "c_0", "const"])
_NUMBERED = re.compile(r"([a-z])_\{?(\d{1,3})\}?")
_LESS = {sympy.StrictLessThan: "<", sympy.LessThan: "<=", sympy.StrictGreaterThan: ">", sympy.GreaterThan: ">="}


def same_value(left: Any, right: Any, digits: float) -> bool:
    """Whether `right` answers a gold of `left`. `digits` is the number of digits of the intermediate numbers of both.

    Constants within sets, tuples and intervals are compared as strictly as constants alone.
    """
    left, right = by_component(left), by_component(right)
    if is_relation(left) and is_relation(right):
        return _same_relations(left, right, digits)
    if equal_sides(right) and not isinstance(left, sympy.Set):
        side = right_side(right, left)
        return side is not None and not is_relation(side) and same_value(left, side, digits)
    if equal_sides(left):
        named = _relations(left)
        return len(named) == 1 and is_expr_of_only_symbols(named[0].lhs) and same_value(named[0].rhs, right, digits)
    left_items, right_items = _components(left), _components(right)
    if left_items is not None and right_items is not None and not _are_one_kind(left, right):
        return _same_in_order(left_items, right_items, digits)
    alike = next(
        (own for kind, own in _KINDS if isinstance(left, kind) and isinstance(right, kind)), _compare_by_library
    )
    return alike(left, right, digits)


def by_component(value: Any) -> Any:
    """Rewrites `(x, y) = (1, 2)` as `x = 1, y = 2`."""
    if not isinstance(value, sympy.Eq):
        return value
    names, values = _vector(value.lhs), _vector(value.rhs)
    if not names or not values or len(names) != len(values) or not all(isinstance(own, sympy.Symbol) for own in names):
        return value
    return FiniteSet(*(sympy.Eq(own, item, evaluate=False) for own, item in zip(names, values, strict=True)))


def right_side(answer: Any, gold: Any) -> Any | None:
    """Returns the value that an equation gives: `x = 7`, `7 = x` and `a + b = 7` answer a gold of 7. None for `2x = 7`,
    which is a condition on x and not an answer.
    """
    sides = equal_sides(answer)
    if not sides or isinstance(gold, sympy.Eq | And):
        return answer
    if isinstance(sides[-1], sympy.Symbol) and constant(sides[0]) is not None:
        return sides[0]
    solves = len(sides) == 2 and constant(sides[1]) is not None and len(getattr(sides[0], "free_symbols", ())) == 1
    named = isinstance(sides[0], sympy.Symbol | AppliedUndef | sympy.Abs | sympy.Limit)
    return None if solves and not named else sides[-1]


def equal_sides(relation: Any) -> list[Any]:
    parts = relation._unsorted_args if isinstance(relation, And) else [relation]  # noqa: SLF001  the written order
    return [side for part in parts if isinstance(part, sympy.Eq) for side in (part.lhs, part.rhs)]


def consistent(answer: Any, digits: float) -> bool:
    """Whether the constant sides of a chain of equations are equal; `5 = 101` claims two values."""
    sides = equal_sides(answer)
    constants = [value for value in (constant(side, digits) for side in sides) if value is not None]
    floats = any(side.has(sympy.Float) for side in sides if isinstance(side, sympy.Basic))
    return all(
        near(value, constants[0], FLOAT_NOISE) if floats else equal(value, constants[0], digits)
        for value in constants[1:]
    )


def is_relation(value: Any) -> bool:
    return isinstance(value, Relational | And)


def is_finite_set(value: Any) -> bool:
    return isinstance(value, sympy.FiniteSet | FiniteSet)


def _same_expressions(left: Any, right: Any, digits: float) -> bool:
    if left == right:
        return not left.has(sympy.nan, sympy.zoo)
    left_value, right_value = constant(left, digits), constant(right, digits)
    if left_value is not None and right_value is not None:
        return _same_element(left, left_value, right, right_value, digits)
    if not left.free_symbols and not right.free_symbols and (left_value is not None or right_value is not None):
        return False
    if _letters(left) == _letters(right) != "" and sympy.Symbol in {type(left), type(right)}:
        return True
    agreed = agree(*_without_integration_constants(left, right), digits)
    if agreed is None:
        return not (left.has(*LAZY) or right.has(*LAZY)) and _compare_by_library(left, right, digits)
    return agreed


def _without_integration_constants(left: Any, right: Any) -> tuple[Any, Any]:
    """Removes constants of integration, so that `x^2 + K` equals `x^2 + C`: each sum must have exactly one, which
    occurs nowhere else in it.
    """
    if not isinstance(left, sympy.Add) or not isinstance(right, sympy.Add):
        return left, right
    own, other = ({str(symbol) for symbol in side.free_symbols} & _INTEGRATION_CONSTANTS for side in (left, right))
    if own == other or len(own) != 1 or len(other) != 1:
        return left, right
    found = []
    for side, names in ((left, own), (right, other)):
        rest = [term for term in side.args if str(term) not in names]
        if len(rest) != len(side.args) - 1 or any(names & {str(free) for free in term.free_symbols} for term in rest):
            return left, right
        found.append(sympy.Add(*rest, evaluate=False))
    return found[0], found[1]


def _letters(value: Any) -> str:
    r"""Returns the letters of a symbol or a product of symbols: `\text{ABC}` is one symbol, `ABC` a product of
    three.
    """
    if value == sympy.E:
        return "e"
    if isinstance(value, sympy.Symbol):
        return str(value.name).casefold()
    if isinstance(value, sympy.Mul):
        parts = [_letters(part) for part in value.args]
        return "".join(parts) if all(parts) else ""
    return ""


def _same_element(left: Any, left_value: Value, right: Any, right_value: Value, digits: float) -> bool:
    floats = [side.has(sympy.Float) for side in (left, right)]
    if not any(floats):
        return equal(left_value, right_value, digits)
    if all(floats):
        return near(left_value, right_value, FLOAT_NOISE)
    exact = right_value if floats[0] else left_value
    return near(left_value, right_value, FLOAT_NOISE if _terminates(exact) else ROUNDED)


def _terminates(value: Value) -> bool:
    if not isinstance(value, Fraction):
        return False
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _are_one_kind(left: Any, right: Any) -> bool:
    kinds = (sympy.Interval, _MATRICES, (sympy.FiniteSet, FiniteSet))
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds)


def _items(value: Any) -> list[Any]:
    return list(getattr(value, "_unsorted_args", None) or value.args)


def _vector(value: Any) -> list[Any] | None:
    """Returns the components of a tuple, of two numbers in parentheses, or of a matrix with one row or column."""
    if isinstance(value, sympy.Tuple):
        return list(value)
    if isinstance(value, sympy.Interval) and value.left_open and value.right_open:
        return [value.start, value.end]
    if isinstance(value, sympy.MatrixBase) and 1 in value.shape:
        return list(value)
    return None


def _components(value: Any) -> list[Any] | None:
    """Works like `_vector`, and also returns the equations of `x = 1, y = 2`."""
    if is_finite_set(value) and _is_named(_items(value)):
        return _items(value)
    return _vector(value)


def _is_named(items: list[Any]) -> bool:
    """Whether the items are equations for several different names."""
    return (
        all(isinstance(item, sympy.Eq) for item in items) and len({str(item.lhs) for item in items}) == len(items) > 1
    )


def _same_in_order(left: Sequence[Any], right: Sequence[Any], digits: float) -> bool:
    pairs = zip(left, right, strict=False)
    return len(left) == len(right) and all(same_value(one, other, digits) for one, other in pairs)


def _same_intervals(left: Any, right: Any, digits: float) -> bool:
    opens = (left.left_open, left.right_open) == (right.left_open, right.right_open)
    return opens and _same_in_order([left.start, left.end], [right.start, right.end], digits)


def _same_sets(one_set: Any, other_set: Any, digits: float) -> bool:
    left, right = _items(one_set), _items(other_set)
    if len(left) != len(right) or len(left) > MAX_ELEMENTS:
        return bool(one_set == other_set)
    left, right = _strip_numbers(left, right), _strip_numbers(right, left)
    if _is_named(left) and not any(isinstance(item, sympy.Eq) for item in right):
        return _same_in_order(left, right, digits)
    for one in left:
        index = next((n for n, other in enumerate(right) if one == other or same_value(one, other, digits)), None)
        if index is None:
            return False
        right = right[:index] + right[index + 1 :]
    return True


def _strip_numbers(items: list[Any], others: list[Any]) -> list[Any]:
    """Replaces `a_1 = 1, a_2 = -2` by equations for `a` if the others are equations for `a`."""
    numbered = [_NUMBERED.fullmatch(str(item.lhs)) if isinstance(item, sympy.Eq) else None for item in items]
    names = {found[1] for found in numbered if found} if all(numbered) else set()
    asked = {str(other.lhs) if isinstance(other, sympy.Eq) else "" for other in others}
    if len(names) != 1 or asked != names or len({found[2] for found in numbered if found}) < len(items):
        return items
    return [sympy.Eq(others[0].lhs, item.rhs, evaluate=False) for item in items]


def _same_matrices(left: Any, right: Any, digits: float) -> bool:
    try:
        one, other = left.doit(), right.doit()
    except (TypeError, ValueError, NotImplementedError):  # shapes that do not fit
        return False
    if not isinstance(one, sympy.MatrixBase) or not isinstance(other, sympy.MatrixBase):
        return bool(one == other)
    return one.shape == other.shape and _same_in_order(list(one), list(other), digits)


def _same_relations(left: Any, right: Any, digits: float) -> bool:
    one, other = _relations(left), _relations(right)
    rest = list(other)
    for part in one:
        index = next((n for n, own in enumerate(rest) if _same_relation(part, own, digits)), None)
        if index is None:
            break
        rest.pop(index)
    else:
        if not rest:
            return True
    return len(left.free_symbols | right.free_symbols) == 1 and _compare_by_library(left, right, digits)


def _relations(value: Any) -> list[Any]:
    """Returns the parts of a relation; a chain of equations that starts with a name becomes one equation for
    the name.
    """
    parts = list(value._unsorted_args) if isinstance(value, And) else [value]  # noqa: SLF001  the written order
    sides = equal_sides(value)
    if len(parts) > 1 and len(sides) == 2 * len(parts) and isinstance(sides[0], sympy.Symbol):
        return [sympy.Eq(sides[0], sides[-1], evaluate=False)]
    return parts


def _same_relation(left: Any, right: Any, digits: float) -> bool:
    """Whether one relation is a multiple of the other; a negative factor must turn an inequality around."""
    sides = (left.lhs, left.rhs, right.lhs, right.rhs)
    scalars = all(isinstance(side, sympy.Expr) for side in sides)
    if isinstance(left, sympy.Eq | sympy.Ne):
        if type(left) is not type(right):
            return False
        if scalars:
            return factor(*sides, digits=digits) is not None
        straight = same_value(left.lhs, right.lhs, digits) and same_value(left.rhs, right.rhs, digits)
        return straight or (same_value(left.lhs, right.rhs, digits) and same_value(left.rhs, right.lhs, digits))
    one, other = _LESS.get(type(left)), _LESS.get(type(right))
    if one is None or other is None or len(one) != len(other) or not scalars:
        return False
    times = factor(*sides, digits=digits)
    return times is not None and (times > 0) == (one[0] == other[0])


def seed_algebra() -> None:
    """Starts the library's random numbers from one seed, so that its results are a function of its input."""
    sympy_random.seed(0)
    sympy_random._assumptions_rng.seed(0)  # noqa: SLF001  it shuffles the order in which assumptions are tried


def _compare_by_library(left: Any, right: Any, digits: float) -> bool:
    """Compares the remaining kinds: relations with sets, unions, equations to solve."""
    if digits > MAX_DIGITS:
        return False
    seed_algebra()
    return bool(verify(left, right, allow_set_relation_comp=True, timeout_seconds=None))


_MATRICES = (sympy.MatrixBase, sympy.MatrixExpr)
_KINDS = (
    (_MATRICES, _same_matrices),
    (sympy.Expr, _same_expressions),
    ((sympy.FiniteSet, FiniteSet), _same_sets),
    (sympy.Interval, _same_intervals),
)
"""The comparison for each kind of object."""
