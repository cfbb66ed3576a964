"""Values of expressions: exact fractions if they are rational, else numbers with as many digits as is asked for.

Invariant: a value is a function of the expression and of the values given to its symbols; nothing is drawn at random
and nothing depends on the order of a set. Work is bounded by the expression's size, which `expression_limits` bounds.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

import mpmath
import sympy
from sympy.core.function import AppliedUndef
from sympy.core.numbers import NumberSymbol

Value: TypeAlias = Fraction | Any
"""A fraction, or a complex number of mpmath."""

EXACT_BITS = 200_000
"""Most bits of an exact fraction; longer ones become numbers with the digits of mpmath's context."""
MAX_LOOP = 1000
"""Most factors of a product, or terms of a sum, that are computed one by one."""
POINTS = 4
"""Points at which expressions with symbols are compared."""
POSITIVE = 2
"""The number of points, from the first, at which every symbol is positive."""

_PLAIN_FACTORIAL = 5000
LAZY = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Derivative, sympy.Limit)
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "exp": mpmath.exp,
        "re": mpmath.re,
        "im": mpmath.im,
        "conjugate": mpmath.conj,
        "arg": mpmath.arg,
        "gamma": mpmath.gamma,
        **{name: getattr(mpmath, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
        **{name: getattr(mpmath, name) for name in ("asin", "acos", "atan", "acot", "asec", "acsc")},
        **{name: getattr(mpmath, name) for name in ("sinh", "cosh", "tanh", "coth", "sech", "csch")},
        **{name: getattr(mpmath, name) for name in ("asinh", "acosh", "atanh", "acoth", "asech", "acsch")},
    }
)


class NoValueError(ArithmeticError):
    """The expression has no finite value, or one that is not computed here."""


def point(name: str, index: int) -> Any:
    """Returns the symbol's value at a point, with 60 digits and a size between 1/4 and 11/4; `i` is the
    imaginary unit.
    """
    if name == "i":
        return mpmath.mpc(0, 1)
    digest = hashlib.sha256(f"{index}:{name}".encode()).digest()
    size = mpmath.mpf(1) / 4 + mpmath.mpf(int.from_bytes(digest[:25])) / 256**25 * 5 / 2
    return -size if index == POSITIVE or (index > POSITIVE and digest[31] % 2) else size


def evaluate(expression: Any, index: int = 0) -> Value:
    """Returns the value at one of the points, with the digits of mpmath's context. Raises NoValueError."""
    try:
        value = _value(expression, index)
    except (ArithmeticError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise NoValueError(str(error)) from error
    if not isinstance(value, Fraction) and not mpmath.isfinite(value):
        raise NoValueError("no finite value")
    return value


def number(value: Value) -> Any:
    """Converts a value to a number of mpmath's context."""
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return value


def _value(node: Any, index: int) -> Value:
    for kind, read in _KINDS:
        if isinstance(node, kind):
            return read(node, index)
    raise NoValueError(f"{type(node).__name__} has no value")


def _sum(node: Any, index: int) -> Value:
    total: Value = Fraction(0)
    for term in node.args:
        left, right = _match_kinds(total, _value(term, index))
        total = _limit_bits(left + right)
    return total


def _limit_bits(value: Value) -> Value:
    if isinstance(value, Fraction) and value.numerator.bit_length() + value.denominator.bit_length() > EXACT_BITS:
        return number(value)
    return value


def _match_kinds(left: Value, right: Value) -> tuple[Value, Value]:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left, right
    return number(left), number(right)


def _product(node: Any, index: int) -> Value:
    result: Value = Fraction(1)
    for factor in node.args:
        left, right = _match_kinds(result, _value(factor, index))
        result = _limit_bits(left * right)
    return result


def _raise_to_power(node: Any, index: int) -> Value:
    base, exponent = _value(node.base, index), _value(node.exp, index)
    return _require_domain(_power(base, exponent), [base, exponent], index)


def _require_domain(value: Value, arguments: list[Value], index: int) -> Value:
    """Returns the value. If symbols are negative, a root or a logarithm that leaves the real numbers raises
    NoValueError.
    """
    if index >= POSITIVE and not _is_real(value) and all(map(_is_real, arguments)):
        raise NoValueError("outside the real numbers")
    return value


def _is_real(value: Value) -> bool:
    return isinstance(value, Fraction) or mpmath.im(value) == 0


def _power(base: Value, exponent: Value) -> Value:
    """Returns the power; the real root if the base is negative and the root is odd. Raises NoValueError."""
    if base == 0:
        real = exponent if isinstance(exponent, Fraction) else mpmath.re(exponent)
        if real < 0:
            raise NoValueError("a division by 0")
        return Fraction(1) if exponent == 0 else Fraction(0)
    if isinstance(exponent, Fraction):
        bits = base.numerator.bit_length() + base.denominator.bit_length() if isinstance(base, Fraction) else 0
        if exponent.denominator == 1:
            if isinstance(base, Fraction) and bits * abs(exponent.numerator) <= EXACT_BITS:
                return base**exponent.numerator
            return number(base) ** exponent.numerator
        root = _exact_root(base, exponent) if isinstance(base, Fraction) else None
        if root is not None:
            return root
        real = number(base)
        if exponent.denominator % 2 and mpmath.im(real) == 0 and mpmath.re(real) < 0:
            size = mpmath.power(-mpmath.re(real), number(exponent))
            return -size if exponent.numerator % 2 else size
    return mpmath.power(number(base), number(exponent))


def _exact_root(base: Fraction, exponent: Fraction) -> Fraction | None:
    negative = base < 0
    if negative and exponent.denominator % 2 == 0:
        return None
    parts = [sympy.integer_nthroot(abs(part), exponent.denominator) for part in (base.numerator, base.denominator)]
    if not all(exact for _, exact in parts):
        return None
    root = Fraction(int(parts[0][0]), int(parts[1][0]))
    bits = root.numerator.bit_length() + root.denominator.bit_length()
    return (-root if negative else root) ** exponent.numerator if bits * abs(exponent.numerator) <= EXACT_BITS else None


def _function(node: Any, index: int) -> Value:
    name, arguments = type(node).__name__, [_value(argument, index) for argument in node.args]
    if name in _EXACT:
        return _require_domain(_EXACT[name](*arguments), arguments, index)
    if name in _FUNCTIONS and len(arguments) == 1:
        return _require_domain(_FUNCTIONS[name](number(arguments[0])), arguments, index)
    raise NoValueError(f"{name} has no value")


def _size(value: Value) -> Value:
    return abs(value)


def _largest(*values: Value) -> Value:
    return max(values, key=lambda value: mpmath.re(number(value)))


def _smallest(*values: Value) -> Value:
    return min(values, key=lambda value: mpmath.re(number(value)))


def _remainder(value: Value, modulus: Value) -> Value:
    left, right = _match_kinds(value, modulus)
    quotient = _match_kinds(_round_whole(left / right, up=False), right)
    left, right = _match_kinds(left, quotient[0] * quotient[1])
    return left - right


def _logarithm(value: Value, base: Value | None = None) -> Value:
    result = mpmath.log(number(value))
    return result if base is None else result / mpmath.log(number(base))


def _round_whole(value: Value, *, up: bool) -> Value:
    if not isinstance(value, Fraction):
        nearest = mpmath.nint(mpmath.re(value))
        noise = mpmath.mpf(10) ** (20 - mpmath.mp.dps)
        value = Fraction(int(nearest)) if abs(value - nearest) < noise else mpmath.re(value)
    if isinstance(value, Fraction):
        return Fraction(math.ceil(value) if up else math.floor(value))
    return Fraction(int(mpmath.ceil(value) if up else mpmath.floor(value)))


def _factorial(value: Value, *, double: bool) -> Value:
    if isinstance(value, Fraction) and value.denominator == 1:
        whole = value.numerator
        if whole < 0:
            raise NoValueError("a factorial of a negative number")
        if whole <= _PLAIN_FACTORIAL:
            return Fraction(math.prod(range(whole, 0, -2)) if double else math.factorial(whole))
    return mpmath.fac2(number(value)) if double else mpmath.gamma(number(value) + 1)


def _binomial(upper: Value, lower: Value) -> Value:
    if isinstance(upper, Fraction) and isinstance(lower, Fraction) and upper.denominator == lower.denominator == 1:
        if upper >= 0 and lower < 0:
            return Fraction(0)
        if 0 <= upper.numerator <= EXACT_BITS // 2:
            return _limit_bits(Fraction(math.comb(upper.numerator, lower.numerator)))
    return mpmath.binomial(number(upper), number(lower))


def _solve_lazy(node: Any, index: int) -> Value:
    """Returns the value of a sum, product, integral, derivative or limit that the algebra library solves in closed
    form.
    """
    if isinstance(node, sympy.Product | sympy.Sum):
        for letter, low, high in node.limits:
            whole = low.is_Integer and high.is_Integer
            if whole and high - low > MAX_LOOP:
                raise NoValueError(f"more than {MAX_LOOP} terms")
            if not whole and node.function.free_symbols - {letter}:
                raise NoValueError("a series in a symbol")
    done = node.doit()
    if done.has(*LAZY):
        raise NoValueError("no closed form")
    return _value(done, index)


def _unknown_function(node: Any, index: int) -> Any:
    """Returns one number per name and arguments, so that `f(2x)` equals `f(x + x)`."""
    shown = ",".join(mpmath.nstr(number(_value(argument, index)), 30) for argument in node.args)
    return point(f"{type(node).__name__}({shown})", 0)


_EXACT: Mapping[str, Callable[..., Value]] = MappingProxyType(
    {
        "UnevaluatedExpr": lambda value: value,
        "Max": _largest,
        "Min": _smallest,
        "floor": lambda value: _round_whole(value, up=False),
        "ceiling": lambda value: _round_whole(value, up=True),
        "Abs": _size,
        "Mod": _remainder,
        "factorial": lambda value: _factorial(value, double=False),
        "factorial2": lambda value: _factorial(value, double=True),
        "binomial": _binomial,
        "log": _logarithm,
    }
)
_KINDS: tuple[tuple[Any, Callable[[Any, int], Value]], ...] = (
    (sympy.Float, lambda node, _: Fraction(str(node))),
    (sympy.Rational, lambda node, _: Fraction(int(node.p), int(node.q))),
    (sympy.Symbol, lambda node, index: point(node.name, index)),
    (sympy.Add, _sum),
    (sympy.Mul, _product),
    (sympy.Pow, _raise_to_power),
    (NumberSymbol, lambda node, _: mpmath.mpf(node.evalf(mpmath.mp.dps + 5))),
    (type(sympy.I), lambda _node, _: mpmath.mpc(0, 1)),
    (LAZY, _solve_lazy),
    (AppliedUndef, _unknown_function),
    ((sympy.Function, sympy.UnevaluatedExpr, sympy.Max, sympy.Min, sympy.Mod), _function),
)
"""The function that computes the value of each kind of node; the first kind that fits a node is used."""
