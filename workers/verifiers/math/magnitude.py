r"""An upper bound of the intermediate numbers of an expression's value, estimated from its LaTeX.

Invariant: nothing is parsed by the grammar or computed. The estimate takes time linear in a text of bounded depth, and
whatever is certain to exceed `MAX_DIGITS` is refused: `9^{9^9}`, `(10^9)!`, `((3!)!)!`.
"""

import math
import re
from dataclasses import dataclass

MAX_DIGITS = 10.0**8
"""Most digits of intermediate numbers. `2014!^{2014}`, an answer of a contest, has 11.7 million; numbers of that size
are never written out.
"""
MAX_EXPONENT = 9.0
"""Most decimal digits of an exponent, or of a factorial's operand."""

_LETTER = 0.6
"""log10 of 4, the bound of a symbol, e or pi."""
_GROWING = frozenset(["exp", "sinh", "cosh", "tanh", "binom", "dbinom", "tbinom", "Gamma", "gamma", "cosech"])
"""Functions whose value for an argument x has at most x digits."""
_TOKEN = re.compile(
    r"\s+|(?P<number>\d+)(?:\.(?P<decimals>\d*))?|\.\d+|\\(?P<command>[A-Za-z]+)|\\.|(?P<bangs>!+)|(?P<other>.)",
    re.DOTALL,
)


class LimitError(ValueError):
    """The expression is larger than an answer may be; the message names the limit."""


@dataclass(slots=True)
class _Size:
    """Bounds of a size, as log10."""

    value: float
    """The largest intermediate value."""
    digits: float
    """Digits of the product of all intermediate numbers."""


def digits(text: str) -> float:
    """Returns how many digits the intermediate numbers may have together. Raises LimitError if that is above
    MAX_DIGITS.
    """
    return _Reader(text).sequence("").digits


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens = [token for token in _TOKEN.finditer(text) if not token[0].isspace()]
        self.at = 0

    def sequence(self, closing: str) -> _Size:
        """Reads terms up to the closing bracket; their sum is at most the largest one times their number."""
        terms: list[_Size] = []
        term = _Size(0.0, 0.0)
        while self.at < len(self.tokens):
            character = self.tokens[self.at]["other"] or ""
            if character and character in ")]}":
                if closing:
                    break
                self.at += 1
                continue
            if character and character in "+-,;&=<>":
                terms.append(term)
                term = _Size(0.0, 0.0)
                self.at += 1
                continue
            factor = self._factor()
            term.value += factor.value
            term.digits += factor.digits
        self.at += bool(closing)
        terms.append(term)
        value = max(one.value for one in terms) + math.log10(len(terms))
        return _Size(value, _checked(sum(one.digits for one in terms)))

    def _factor(self) -> _Size:
        """Reads an atom with the powers, indices and factorials that follow it; a chain of powers binds from
        the right.
        """
        size = self._atom()
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token["bangs"]:
                self.at += 1
                size = _factorial(size, len(token["bangs"]))
            elif token["other"] == "^":
                self.at += 1
                size = _power(size, self._exponent())
            elif token["other"] == "_":
                self.at += 1
                self._atom()
            else:
                break
        return size

    def _exponent(self) -> _Size:
        """Reads one atom, a signed one, or a chain of powers such as `2^3^4`."""
        while self.at < len(self.tokens) and self.tokens[self.at]["other"] in {"-", "+"}:
            self.at += 1
        return self._factor()

    def _atom(self) -> _Size:
        if self.at >= len(self.tokens):
            return _Size(0.0, 0.0)
        token = self.tokens[self.at]
        self.at += 1
        if token["number"]:
            whole = token["number"].lstrip("0") or "1"
            value = max(math.log10(2), math.log10(int(whole[:15])) + max(0, len(whole) - 15) + 1e-9)
            return _Size(value, value + len(token["decimals"] or ""))
        if token["command"] in _GROWING:
            return self._growing(token["command"])
        if token["other"] and token["other"] in "([{":
            return self.sequence(token["other"])
        if token["command"] or (token["other"] and token["other"].isalpha()):
            return _Size(_LETTER, _LETTER)
        return _Size(0.0, 0.0)

    def _growing(self, command: str) -> _Size:
        argument = self._factor()
        if command.endswith("binom"):
            self._atom()
            return _power(_Size(math.log10(2), math.log10(2)), argument)
        if command in {"Gamma", "gamma"}:
            return _factorial(argument, 1)
        return _power(_Size(_LETTER, _LETTER), argument)


def _power(base: _Size, exponent: _Size) -> _Size:
    if exponent.value > MAX_EXPONENT:
        raise LimitError(f"an exponent has more than {MAX_EXPONENT:.0f} digits")
    times = 10.0**exponent.value
    return _Size(_checked(base.value * times), _checked(base.digits * times + exponent.digits))


def _factorial(operand: _Size, bangs: int) -> _Size:
    """Returns the bound of `n!`, which `n!!` does not exceed. Raises LimitError."""
    if bangs > 2 or operand.value > MAX_EXPONENT:
        raise LimitError("a factorial of a large number")
    value = 10.0**operand.value * max(operand.value, 1.0)
    return _Size(_checked(value), _checked(value + operand.digits))


def _checked(size: float) -> float:
    if size > MAX_DIGITS:
        raise LimitError(f"its numbers have more than {MAX_DIGITS:.0e} digits")
    return size
