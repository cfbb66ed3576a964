r"""Limits that an expression must keep before it is parsed: length, digits, depth, the size of its numbers.

Invariant: nothing here parses or computes; every check is linear in a text of at most MAX_LENGTH characters.
"""

import re
from collections.abc import Iterator

from workers.verifiers.answers.numbers import MAX_DIGITS
from workers.verifiers.math.magnitude import LimitError, digits

__all__ = ["MAX_LENGTH", "LimitError", "check_length", "check_limits", "depths"]

MAX_LENGTH = 1000
MAX_DEPTH = 20
"""Most levels of brackets. The grammar's time doubles with each level of square brackets: 30 take more than a
second.
"""
MAX_BINOMIAL_DIGITS = 4
"""Most digits of a binomial coefficient's upper number, since the grammar computes the coefficient."""
MAX_SETS = 3
"""Most levels of sets within sets; the time to compare them grows tenfold with every second level."""

_BARE = re.compile(r"(?<![A-Za-z}\]^_])\s*\\?$")
_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*(?=\{)")
_LARGE = re.compile(rf"\d{{{MAX_BINOMIAL_DIGITS + 1}}}|\d\s*\^|!")
_MADE = re.compile(
    r"\\operatorname\s*\{\s*(?:eye|zeros|ones|diag|[hv]stack|orth\w*|svd|SVD|eig\w*|diagonalize|rref|nullspace|rank)\s*\}"
)
"""Commands with which the grammar makes matrices of any size, or computes with them."""


def check_length(text: str) -> None:
    """Raises LimitError if the text is longer than MAX_LENGTH."""
    if len(text) > MAX_LENGTH:
        raise LimitError(f"the answer has {len(text)} characters, more than {MAX_LENGTH}")


def check_limits(text: str) -> float:
    """Returns how many digits the intermediate numbers may have together. Raises LimitError."""
    check_length(text)
    if _DIGITS.search(text):
        raise LimitError(f"a number has more than {MAX_DIGITS} digits")
    if max(depths(text), default=0) > MAX_DEPTH:
        raise LimitError(f"brackets nest deeper than {MAX_DEPTH}")
    if _set_depth(text) > MAX_SETS:
        raise LimitError(f"sets nest deeper than {MAX_SETS}")
    if any(_LARGE.search(upper) for upper in _uppers(text)):
        raise LimitError(f"a binomial coefficient of more than {MAX_BINOMIAL_DIGITS} digits")
    if _MADE.search(text):
        raise LimitError("a command that makes a matrix")
    return digits(text)


def depths(text: str) -> Iterator[int]:
    """Yields how many brackets are open after each character."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        yield depth


def _set_depth(text: str) -> int:
    """Returns the depth of braces, except for those of commands, exponents and indices."""
    deepest = 0
    bare: list[bool] = []
    for position, character in enumerate(text):
        if character == "{":
            bare.append(_BARE.search(text[max(0, position - 8) : position]) is not None)
            deepest = max(deepest, sum(bare))
        elif character == "}" and bare:
            bare.pop()
    return deepest


def _uppers(text: str) -> Iterator[str]:
    """Yields the first arguments of binomial coefficients, which bound the second ones."""
    for match in _BINOMIAL.finditer(text):
        rest = text[match.end() :]
        yield rest[: _closing(rest)]


def _closing(text: str) -> int:
    return next((index for index, depth in enumerate(depths(text)) if depth == 0), len(text) - 1) + 1
