"""Arithmetic and polynomials in model text, read by two small parsers of our own.

Invariant: work is bounded by the text's length, which is bounded. There are no powers of numbers, no names and no
calls, so nothing that is read can be executed or grow large.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from workers.verifiers.puzzle.forms import FormError, line

MAX_EXPRESSION = 1000
MAX_DEPTH = 50

Monomial = tuple[tuple[str, int], ...]
Polynomial = dict[Monomial, Fraction | int]

_TOKEN = re.compile(r"\s*(?:(\d{1,30})|([-+*/()]))")
_LAYOUT = re.compile(r"\s+|\\(?:left|right)(?![A-Za-z])|\\[,;! ]")
_APART = re.compile(r"[\d.]\s+[\d.]")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,200})\}\{(\d{1,40})\}")
_BRACED_POWER = re.compile(r"\^[{(](\d{1,3})[})]")
_POLYNOMIAL_TOKEN = re.compile(r"\d{1,40}(?:\.\d{1,40})?|\.\d{1,40}|\^\d{1,3}|[A-Za-z]|[-+*/()]")
_CONSTANT = "C"


@dataclass(slots=True)
class _Reader:
    tokens: list[str]
    at: int = 0
    depth: int = 0
    literals: list[int] = field(default_factory=list)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token


_SIGNS = re.compile(r"\\(?:times|cdot|div)(?![A-Za-z])")


def arithmetic(text: str) -> tuple[Fraction, list[int]]:
    """Returns the value of an expression in + - * / and parentheses, and the numbers used. Raises FormError, also if it
    divides by 0.
    """
    flat = (
        _SIGNS.sub(lambda found: "/" if found[0] == "\\div" else "*", line(text))
        .replace("×", "*")
        .replace("·", "*")
        .replace("÷", "/")
        .replace("−", "-")
    )
    if len(flat) > MAX_EXPRESSION:
        raise FormError(f"an expression of more than {MAX_EXPRESSION} characters")
    reader = _Reader(_split_arithmetic(flat))
    value = _read_sum(reader)
    if reader.peek():
        raise FormError(f"{reader.peek()!r} is out of place")
    return value, reader.literals


def _split_arithmetic(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FormError(f"expected numbers, + - * / and parentheses, got {text[at : at + 20]!r}")
        found.append(match.group(1) or match.group(2))
        at = match.end()
    return found


def _read_sum(reader: _Reader) -> Fraction:
    value = _read_product(reader)
    while reader.peek() in ("+", "-"):
        value = value + _read_product(reader) if reader.take() == "+" else value - _read_product(reader)
    return value


def _read_product(reader: _Reader) -> Fraction:
    value = _read_atom(reader)
    while reader.peek() in ("*", "/"):
        divides = reader.take() == "/"
        other = _read_atom(reader)
        if divides and not other:
            raise FormError("a division by 0")
        value = value / other if divides else value * other
    return value


def _read_atom(reader: _Reader) -> Fraction:
    part = reader.take()
    if part.isdigit():
        reader.literals.append(int(part))
        return Fraction(int(part))
    if part not in ("(", "-") or reader.depth >= MAX_DEPTH:
        raise FormError(f"expected a number, got {part or 'the end'!r}")
    reader.depth += 1
    value = -_read_atom(reader) if part == "-" else _read_sum(reader)
    if part == "(" and reader.take() != ")":
        raise FormError("a parenthesis does not close")
    reader.depth -= 1
    return value


def polynomial(text: str) -> Polynomial:
    """Reads the coefficients of an expanded polynomial by monomial; like terms add up. Raises FormError.

    Coefficients may be decimals, and one term may be in parentheses: `0.7*x**4`, `(7*x^4)/10`, `(7/10)x^4`.
    """
    if _APART.search(text):
        raise FormError("two numbers are next to each other")
    flat = _LAYOUT.sub("", line(text).replace("−", "-").replace("·", "*").replace("\\cdot", "*").replace("**", "^"))
    flat = _BRACED_POWER.sub(r"^\1", _LATEX_FRACTION.sub(r"((\1)/(\2))", flat))
    if len(flat) > MAX_EXPRESSION:
        raise FormError(f"a polynomial of more than {MAX_EXPRESSION} characters")
    found: Polynomial = {}
    reader = _Reader(_split_polynomial(flat))
    while True:
        monomial, coefficient = _read_term(reader)
        found[monomial] = found.get(monomial, 0) + coefficient
        if not reader.peek():
            return {monomial: coefficient for monomial, coefficient in found.items() if coefficient}
        if reader.peek() not in ("+", "-"):
            raise FormError(f"{reader.peek()!r} is out of place in an expanded polynomial")


def _split_polynomial(text: str) -> list[str]:
    tokens = _POLYNOMIAL_TOKEN.findall(text)
    if not text or "".join(tokens) != text:
        raise FormError(f"expected an expanded polynomial, got {text[:60]!r}")
    return tokens


def _read_term(reader: _Reader) -> tuple[Monomial, Fraction | int]:
    """Reads a product of numbers, powers of letters and terms in parentheses. A factor that is a number may be a
    divisor.
    """
    coefficient: Fraction | int = 1  # most are whole, and whole numbers are faster
    while reader.peek() in ("+", "-"):
        coefficient *= -1 if reader.take() == "-" else 1
    powers: Counter[str] = Counter()
    divides = after_divisor = False
    while True:
        factor, number = _read_factor(reader)
        if divides:
            if factor or not number:
                raise FormError("expected a number other than 0 below a fraction line")
            coefficient = Fraction(coefficient) / number
        else:
            coefficient *= number
            powers.update(dict(factor))
        after_divisor = divides
        divides = reader.peek() == "/"
        if reader.peek() in ("*", "/"):
            reader.take()
        elif after_divisor or not (reader.peek().isalpha() or reader.peek() == "("):
            return tuple(sorted((name, power) for name, power in powers.items() if power)), coefficient


def _read_factor(reader: _Reader) -> tuple[Monomial, Fraction | int]:
    part = reader.take()
    if part == "(" and reader.depth < MAX_DEPTH:
        reader.depth += 1
        inside = _read_term(reader)
        reader.depth -= 1
        if reader.take() != ")" or reader.peek().startswith("^"):
            raise FormError("expected one term in parentheses, and no power of it")
        return inside
    if part.isalpha():
        power = int(reader.take()[1:]) if reader.peek().startswith("^") else 1
        return ((part, power),), 1
    if not part[:1].isdigit() and not part[1:2].isdigit():
        raise FormError(f"expected a term such as 3*x**2/4, got {part or 'the end'!r}")
    if reader.peek().startswith("^"):
        raise FormError("a power of a number")
    return (), int(part) if part.isdigit() else Fraction(part)


def antiderivatives_alike(gold: Polynomial, given: Polynomial) -> bool:
    """Whether the two are equal apart from the constant, which may be a letter of its own, a number, or missing."""
    letters = {name for monomial in gold for name, _ in monomial} - {_CONSTANT}
    return _remove_constant(gold, letters) == _remove_constant(given, letters)


def _remove_constant(terms: Polynomial, letters: set[str]) -> Polynomial:
    """Removes a number and at most one letter that is not the variable."""
    rest = {monomial: coefficient for monomial, coefficient in terms.items() if monomial}
    constants = [own for own, times in rest.items() if abs(times) == 1 and len(own) == 1 and own[0][1] == 1]
    own = [monomial for monomial in constants if monomial[0][0] not in letters]
    return {monomial: coefficient for monomial, coefficient in rest.items() if own[:1] != [monomial]}
