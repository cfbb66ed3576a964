"""Arithmetic and polynomials in model text, by two small parsers of our own.

Invariant: work is bounded by the text's length, which is bounded; there is no power operator on numbers, no name and
no call, so nothing that is read can run or grow.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from workers.verifiers.puzzle.forms import FormError, line, matched

MAX_EXPRESSION = 1000
MAX_DEPTH = 50

Monomial = tuple[tuple[str, int], ...]
Polynomial = dict[Monomial, Fraction]

_TOKEN = re.compile(r"\s*(?:(\d{1,30})|([-+*/()]))")
_TERM = re.compile(r"[-+]?[^-+]+")
_POLYNOMIAL = re.compile(r"(?:[A-Za-z]|\d|[-+*/^()\s])+")
_FACTOR = re.compile(r"(\d{1,40})|([A-Za-z])(?:(?:\*\*|\^)(\d{1,3}))?")
_CONSTANT: Monomial = (("C", 1),)


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


def arithmetic(text: str) -> tuple[Fraction, list[int]]:
    """Value and the numbers used, of an expression in + - * / and parentheses. Raises FormError, also where it
    divides by 0.
    """
    flat = line(text).replace("×", "*").replace("·", "*").replace("÷", "/").replace("−", "-")
    if len(flat) > MAX_EXPRESSION:
        raise FormError(f"an expression of more than {MAX_EXPRESSION} characters")
    reader = _Reader(_tokens(flat))
    value = _sum(reader)
    if reader.peek():
        raise FormError(f"{reader.peek()!r} is out of place")
    return value, reader.literals


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FormError(f"expected numbers, + - * / and parentheses, got {text[at : at + 20]!r}")
        found.append(match.group(1) or match.group(2))
        at = match.end()
    return found


def _sum(reader: _Reader) -> Fraction:
    value = _product(reader)
    while reader.peek() in ("+", "-"):
        value = value + _product(reader) if reader.take() == "+" else value - _product(reader)
    return value


def _product(reader: _Reader) -> Fraction:
    value = _atom(reader)
    while reader.peek() in ("*", "/"):
        divides = reader.take() == "/"
        other = _atom(reader)
        if divides and not other:
            raise FormError("a division by 0")
        value = value / other if divides else value * other
    return value


def _atom(reader: _Reader) -> Fraction:
    part = reader.take()
    if part.isdigit():
        reader.literals.append(int(part))
        return Fraction(int(part))
    if part not in ("(", "-") or reader.depth >= MAX_DEPTH:
        raise FormError(f"expected a number, got {part or 'the end'!r}")
    reader.depth += 1
    value = -_atom(reader) if part == "-" else _sum(reader)
    if part == "(" and reader.take() != ")":
        raise FormError("a parenthesis does not close")
    reader.depth -= 1
    return value


def polynomial(text: str) -> Polynomial:
    """Coefficients by monomial of an expanded polynomial; like terms add up. Raises FormError."""
    flat = matched(_POLYNOMIAL, text.replace("−", "-"), "an expanded polynomial").group().replace(" ", "")
    if len(flat) > MAX_EXPRESSION:
        raise FormError(f"a polynomial of more than {MAX_EXPRESSION} characters")
    found: Polynomial = {}
    terms = _TERM.findall(flat)
    if "".join(terms) != flat:
        raise FormError("a term is missing beside a sign")
    for term in terms:
        monomial, coefficient = _term(term)
        found[monomial] = found.get(monomial, Fraction(0)) + coefficient
    return {monomial: coefficient for monomial, coefficient in found.items() if coefficient}


def _term(term: str) -> tuple[Monomial, Fraction]:
    coefficient = Fraction(-1 if term.startswith("-") else 1)
    powers: Counter[str] = Counter()
    for index, part in enumerate(re.split(r"(?<!\*)\*(?!\*)", term.lstrip("+-"))):
        factor, *divisors = part.split("/")
        match = _FACTOR.fullmatch(factor)
        if match is None or not all(re.fullmatch(r"0*[1-9]\d{0,39}", divisor) for divisor in divisors):
            raise FormError(f"expected a term such as 3*x**2/4, got {term[:40]!r} (factor {index + 1})")
        if match.group(1):
            coefficient *= int(match.group(1))
        else:
            powers[match.group(2)] += int(match.group(3) or 1)
        for divisor in divisors:
            coefficient /= int(divisor)
    return tuple(sorted((name, power) for name, power in powers.items() if power)), coefficient


def antiderivatives_alike(gold: Polynomial, given: Polynomial) -> bool:
    """Apart from the constant, which may be written C, a number, or not at all."""
    return _without_constant(gold) == _without_constant(given)


def _without_constant(terms: Polynomial) -> Polynomial:
    return {monomial: factor for monomial, factor in terms.items() if monomial not in ((), _CONSTANT)}
