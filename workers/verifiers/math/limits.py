"""What an expression may hold before it is parsed: length, digits, depth, exponents, factorials, binomials.

Invariant: nothing here parses or computes; every check is linear in a text of at most MAX_LENGTH characters.
"""

import re
from collections.abc import Iterator

from workers.verifiers.answers.numbers import MAX_DIGITS

MAX_LENGTH = 1000
MAX_DEPTH = 20
"""The grammar's time doubles with each level of square brackets: 30 take more than a second."""
MAX_EXPONENT_DIGITS = 4
MAX_FACTORIAL_DIGITS = 3
MAX_TERMS = 10_000
"""Of a power of a sum, multiplied out: (x+1)^{2023} has 2024, (x+y+z)^{9999} has fifty million."""

MAX_SETS = 3
"""Sets within sets: the time to compare them grows tenfold with every second level."""

_GROUP_POWER = re.compile(r"[)}\]]\s*\^\s*(?:\{\s*)?-?\d")
_OF_GROUP = re.compile(r"[)}\]]\s*\^\s*\{?\s*(\d{1,4})")
_BARE = re.compile(r"(?<![A-Za-z}\]^_])\s*\\?$")
_LETTER = re.compile(r"[A-Za-z]")
_DIGITS = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")
_EXPONENT_DIGITS = re.compile(rf"\d{{{MAX_EXPONENT_DIGITS + 1}}}")
_BINOMIAL = re.compile(r"\\[dt]?binom\s*(?=\{)")
_LARGE = re.compile(rf"\d{{{MAX_EXPONENT_DIGITS + 1}}}|\d\s*\^|!")
_FACTORIAL = re.compile(r"([\w)}\]!]*)\s*!")
_SMALL = re.compile(rf"\d{{1,{MAX_FACTORIAL_DIGITS}}}|[a-z]")


class LimitError(ValueError):
    """The expression is larger than an answer may be; the message names the limit."""


def check_length(text: str) -> None:
    """Raises LimitError."""
    if len(text) > MAX_LENGTH:
        raise LimitError(f"the answer has {len(text)} characters, more than {MAX_LENGTH}")


def check_limits(text: str) -> None:
    """Raises LimitError."""
    check_length(text)
    if _DIGITS.search(text):
        raise LimitError(f"a number has more than {MAX_DIGITS} digits")
    if max(depths(text), default=0) > MAX_DEPTH:
        raise LimitError(f"brackets nest deeper than {MAX_DEPTH}")
    if _set_depth(text) > MAX_SETS:
        raise LimitError(f"sets nest deeper than {MAX_SETS}")
    _check_powers(text)
    for match in _FACTORIAL.finditer(text):
        if not _SMALL.fullmatch(match[1]):
            raise LimitError("a factorial of more than a small number or a letter")
    if any(_LARGE.search(upper) for upper in _uppers(text)):
        raise LimitError(f"a binomial coefficient of more than {MAX_EXPONENT_DIGITS} digits")


def _check_powers(text: str) -> None:
    for exponent in _exponents(text):
        if "^" in exponent or "!" in exponent:
            raise LimitError("an exponent holds a power or a factorial")
        if _EXPONENT_DIGITS.search(exponent):
            raise LimitError(f"an exponent has more than {MAX_EXPONENT_DIGITS} digits")
    if len(_GROUP_POWER.findall(text)) > 1:
        raise LimitError("powers of powers nest")
    if any(int(power[1]) ** _signs(text, power.start()) > MAX_TERMS for power in _OF_GROUP.finditer(text)):
        raise LimitError(f"a power of a sum has more than {MAX_TERMS} terms")


def depths(text: str) -> Iterator[int]:
    """How many brackets are open after each character."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        yield depth


def _set_depth(text: str) -> int:
    """Of braces that belong to no command, exponent or index."""
    deepest = 0
    bare: list[bool] = []
    for position, character in enumerate(text):
        if character == "{":
            bare.append(_BARE.search(text[max(0, position - 8) : position]) is not None)
            deepest = max(deepest, sum(bare))
        elif character == "}" and bare:
            bare.pop()
    return deepest


def _signs(text: str, end: int) -> int:
    """How many terms but one the group has that closes at `end`, where it holds a letter."""
    depth = 0
    for start in range(end, -1, -1):
        depth += (text[start] in ")]}") - (text[start] in "([{")
        if depth == 0:
            group = text[start:end]
            return len(re.findall(r"[+-]", group)) if _LETTER.search(group) else 0
    return 0


def _uppers(text: str) -> Iterator[str]:
    """The first arguments of binomial coefficients, which bound the second ones."""
    for match in _BINOMIAL.finditer(text):
        rest = text[match.end() :]
        yield rest[: _closing(rest)]


def _exponents(text: str) -> Iterator[str]:
    """What stands after each `^` up to the next space or sign, or within its braces, with a power that follows."""
    for match in re.finditer(r"\^\s*", text):
        rest = text[match.end() :]
        end = _closing(rest) if rest[:1] in {"{", "("} else len(re.match(r"-?\s*\w*", rest)[0])  # type: ignore[index]  # never None
        following = re.match(r"\s*[\^!]", rest[end:])
        yield rest[:end] + (following[0] if following else "")


def _closing(text: str) -> int:
    return next((index for index, depth in enumerate(depths(text)) if depth == 0), len(text) - 1) + 1
