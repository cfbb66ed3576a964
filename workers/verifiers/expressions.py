"""Mathematical expressions by math-verify's LaTeX grammar, within limits that are checked before anything is parsed.

Invariant: no text is ever evaluated as Python. The grammar builds the expression; numbers are compared exactly or
to float noise, never by rounding to a few digits.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import sympy
from latex2sympy2_extended.logic import And
from math_verify import LatexExtractionConfig, parse, verify

from workers.verifiers.numbers import FLOAT_NOISE, MAX_DIGITS, Number, read_number, same_number

MAX_LENGTH = 1000
MAX_DEPTH = 30
MAX_EXPONENT_DIGITS = 4
MAX_FACTORIAL_DIGITS = 3
ROUNDED_DECIMALS = 6
"""A decimal stands for 1/3 or pi where it gives at least so many decimals, all right."""
PRECISION = 60
"""Digits to which constants are compared."""

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nobody keeps the time; the pool does
_NOISE = sympy.Rational(FLOAT_NOISE.numerator, FLOAT_NOISE.denominator)
_EQUAL = sympy.Rational(1, 10 ** (PRECISION - 20))
_CONFIG = [LatexExtractionConfig()]
_GROUP_POWER = re.compile(r"[)}\]]\s*\^\s*(?:\{\s*)?-?\d")


class LimitError(ValueError):
    """The expression is larger than an answer may be; the message names the limit."""


Expression: TypeAlias = Number | sympy.Basic | sympy.MatrixBase


def read(text: str) -> Expression | None:
    """None where the text is no expression. Raises LimitError."""
    text = _plain(text)
    number = read_number(text)
    if number is not None:
        return number
    check_limits(text)
    found = parse(f"${text}$", _CONFIG, fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None


def same(gold: Expression, answer: Expression) -> bool:
    """Whether `answer` says what `gold` says; not symmetric where one is an equation and the other a value."""
    if isinstance(gold, Number) and isinstance(answer, Number):
        return same_number(gold, answer)
    left, right = _symbolic(gold), _symbolic(answer)
    if not _consistent(right):
        return False
    left_value, right_value = _constant(left), _constant(_right_side(right, left))
    if left_value is not None and right_value is not None:
        return _same_constant(gold, left_value, answer, right_value)
    return bool(verify(left, right, allow_set_relation_comp=True, timeout_seconds=None))


def check_limits(text: str) -> None:
    """Raises LimitError."""
    if len(text) > MAX_LENGTH:
        raise LimitError(f"the answer has {len(text)} characters, more than {MAX_LENGTH}")
    if re.search(rf"\d{{{MAX_DIGITS + 1}}}", text):
        raise LimitError(f"a number has more than {MAX_DIGITS} digits")
    if max(_depths(text), default=0) > MAX_DEPTH:
        raise LimitError(f"brackets nest deeper than {MAX_DEPTH}")
    for exponent in _exponents(text):
        if "^" in exponent or "!" in exponent:
            raise LimitError("an exponent holds a power or a factorial")
        if re.search(rf"\d{{{MAX_EXPONENT_DIGITS + 1}}}", exponent):
            raise LimitError(f"an exponent has more than {MAX_EXPONENT_DIGITS} digits")
    if len(_GROUP_POWER.findall(text)) > 1:
        raise LimitError("powers of powers nest")
    for match in re.finditer(r"([\w)}\]!]*)\s*!", text):
        if not re.fullmatch(rf"\d{{1,{MAX_FACTORIAL_DIGITS}}}|[a-z]", match[1]):
            raise LimitError("a factorial of more than a small number or a letter")


def _plain(text: str) -> str:
    """One notation for what people write in several."""
    text = text.strip().rstrip(".").strip()
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        inside = text[len(opening) : len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            if opening not in inside:
                text = inside.strip()
            break
    text = text.replace("×", r"\times ").replace("÷", r"\div ").replace("·", r"\cdot ").replace("π", r"\pi ")
    text = text.replace("√", r"\sqrt").replace("≤", r"\le ").replace("≥", r"\ge ").replace("∞", r"\infty ")
    text = re.sub(r"(?<![\\A-Za-z])(pi|sqrt|infinity)\b", lambda found: _NAMES[found[1]], text)
    text = re.sub(r"\s+(?:and|or)\s+|\\text\{\s*(?:and|or)\s*\}", ", ", text)
    if re.fullmatch(r"\{[^{}]*\}", text):
        text = rf"\{{{text[1:-1]}\}}"
    return text.replace("*", r"\cdot ")


_NAMES = {"pi": r"\pi ", "sqrt": r"\sqrt", "infinity": r"\infty "}


def _depths(text: str) -> Iterator[int]:
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        yield depth


def _exponents(text: str) -> Iterator[str]:
    """What stands after each `^` up to the next space or sign, or within its braces, with a power that follows."""
    for match in re.finditer(r"\^\s*", text):
        rest = text[match.end() :]
        end = _closing(rest) if rest[:1] in "{(" else len(re.match(r"-?\s*\w*", rest)[0])  # type: ignore[index]
        following = re.match(r"\s*[\^!]", rest[end:])
        yield rest[:end] + (following[0] if following else "")


def _closing(text: str) -> int:
    return next((index for index, depth in enumerate(_depths(text)) if depth == 0), len(text) - 1) + 1


def _symbolic(value: Expression) -> Any:
    return sympy.Rational(value.value.numerator, value.value.denominator) if isinstance(value, Number) else value


def _equal_sides(relation: Any) -> list[Any]:
    parts = relation._unsorted_args if isinstance(relation, And) else [relation]  # noqa: SLF001  the written order
    return [side for part in parts if isinstance(part, sympy.Eq) for side in (part.lhs, part.rhs)]


def _consistent(answer: Any) -> bool:
    """`5 = 101` claims two values: the constant sides of a chain of equations must be equal."""
    constants = [value for value in map(_constant, _equal_sides(answer)) if value is not None]
    return all(abs(value - constants[0]) <= abs(constants[0]) * _NOISE for value in constants[1:])


def _right_side(answer: Any, gold: Any) -> Any:
    """`x = 7` answers a gold of 7."""
    sides = _equal_sides(answer)
    return sides[-1] if sides and not isinstance(gold, sympy.Eq | And) else answer


def _constant(value: Any) -> Any | None:
    """The expression's value where it is a finite real number without symbols, else None."""
    if not isinstance(value, sympy.Expr) or value.free_symbols:
        return None
    result = value.doit().evalf(PRECISION) if not value.is_Rational else value
    return result if result.is_number and result.is_real and result.is_finite else None


def _same_constant(gold: Expression, left: Any, answer: Expression, right: Any) -> bool:
    for decimal, other, other_value in ((answer, gold, left), (gold, answer, right)):
        if isinstance(decimal, Number) and not _has_decimals(other):
            if decimal.decimals >= ROUNDED_DECIMALS and decimal.significant >= ROUNDED_DECIMALS:
                return bool(abs(_symbolic(decimal) - other_value) < sympy.Rational(1, 10**decimal.decimals))
            if not decimal.decimals:
                return bool(abs(left - right) <= abs(left) * _EQUAL)
    return bool(abs(left - right) <= max(abs(left), abs(right)) * _NOISE)


def _has_decimals(value: Expression) -> bool:
    return bool(value.decimals) if isinstance(value, Number) else bool(value.atoms(sympy.Float))
