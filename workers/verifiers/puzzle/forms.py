"""Normal forms of answers to questions with one right answer: how a text is read, and when two answers are the same.

Invariant: reading ignores layout (spaces, brackets, thousands separators), never content; a text that is not entirely
an answer of the form is a FormError. Nothing is evaluated: numbers, lists and fractions are matched, not computed.
"""

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


class FormError(ValueError):
    """The text is not an answer of this form; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Form:
    says: str
    """Description of an answer for the user."""
    read: Callable[[str], Any]
    """Reads an answer. Raises FormError."""
    same: Callable[[Any, Any], bool] = operator.eq
    """Whether the right answer and the given one, both read, are the same."""
    free: bool = False
    """Whether any text can be read, so that surrounding prose cannot be separated from the answer."""


def line(text: str) -> str:
    """Joins the text to one line with single spaces, without one final full stop."""
    flat = " ".join(text.split())
    return flat.removesuffix(".").rstrip() if not flat.endswith("..") else flat


def lines(text: str) -> list[str]:
    """Returns the lines that are not blank, stripped. Raises FormError if there are none."""
    found = [stripped for row in text.splitlines() if (stripped := row.strip())]
    if not found:
        raise FormError("the answer is empty")
    return found


def nonempty_line(text: str) -> str:
    """Works like `line`. Raises FormError if the text is empty."""
    flat = line(text)
    if not flat:
        raise FormError("the answer is empty")
    return flat


def matched(pattern: re.Pattern[str], text: str, expected: str) -> re.Match[str]:
    """Matches the text as one line. Raises FormError unless all of it matches."""
    flat = line(text)
    found = pattern.fullmatch(flat)
    if found is None:
        raise FormError(f"expected {expected}, got {flat[:60]!r}")
    return found


_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
_HEX = re.compile(r"(-?)\s*(?:0x)?([0-9a-f]{1,500})", re.IGNORECASE)
_FRACTION = re.compile(r"(-?)\\d?frac\{(\d{1,500})\}\{(\d{1,500})\}|(-?\d{1,500})\s*/\s*(\d{1,500})")
_FACTORS = re.compile(r"\d{1,100}(?:\s*(?:[×*x·]|\\times|\\cdot)\s*\d{1,100})*")
_DURATION = re.compile(r"(?:(\d{1,6}) days?)?(?:(?:^|,? )(\d{1,6}):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?", re.IGNORECASE)
_DAYS = re.compile(r"\d{1,6}")
_INTEGER = re.compile(r"-?\d{1,30}")
_CELLS = re.compile(r"[❌✅]+")


def boolean(text: str) -> bool:
    return matched(_BOOLEAN, text, "True or False").group().casefold() == "true"


def hexadecimal(text: str) -> int:
    sign, digits = matched(_HEX, text, "a hexadecimal number").groups()
    return int(f"{sign}{digits}", 16)


def reduced_fraction(text: str) -> tuple[int, int]:
    """Returns numerator and denominator as written."""
    bare = line(text).replace("$", "").replace("−", "-")
    sign, top, bottom, plain_top, plain_bottom = matched(_FRACTION, bare, "a fraction a/b").groups()
    return (int(f"{sign}{top}"), int(bottom)) if top else (int(plain_top), int(plain_bottom))


def factors(text: str) -> tuple[int, ...]:
    product = matched(_FACTORS, text, "a product of primes").group()
    return tuple(sorted(int(factor) for factor in re.findall(r"\d+", product)))


def duration(text: str) -> tuple[int, int]:
    """Returns days and milliseconds."""
    found = matched(_DURATION, text, "a duration such as 01:30:05, 34 days, or 2 days, 03:30")
    if not found.group():
        raise FormError("the answer is empty")
    days, hours, minutes, seconds, fraction = found.groups()
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return int(days or 0), whole * 1000 + int((fraction or "0").ljust(3, "0"))


def days(text: str) -> tuple[int, int]:
    """Works like `duration`, except that a bare number means days."""
    bare = _DAYS.fullmatch(line(text))
    return (int(bare.group()), 0) if bare else duration(text)


def integers(text: str) -> tuple[int, ...]:
    """Reads all whole numbers, separated by spaces, commas or brackets, also over several lines."""
    return tuple(number for row in integer_grid(text) for number in row)


def integer_grid(text: str) -> tuple[tuple[int, ...], ...]:
    """Reads one row per line, or a list of lists."""
    return tuple(tuple(int(matched(_INTEGER, cell, "whole numbers").group()) for cell in row) for row in cells(text))


def cells(text: str) -> list[list[str]]:
    """Returns rows of words; brackets, commas and bars between them are ignored. Raises FormError."""
    bare = re.sub(r"\]\s*,\s*\[", "\n", text)
    rows = [re.sub(r"[\[\](),|]", " ", row).split() for row in bare.splitlines()]
    found = [row for row in rows if row]
    if not found:
        raise FormError("the answer is empty")
    return found


def tick_grid(text: str) -> tuple[str, ...]:
    rows = ["".join(row.split()).replace("\N{VARIATION SELECTOR-16}", "") for row in lines(text)]
    return tuple(matched(_CELLS, row, "rows of ❌ and ✅").group() for row in rows)


def comma_list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in nonempty_line(text).split(","))


def json_value(text: str) -> Any:
    """Reads JSON, also with single quotes as Python writes it. Raises FormError."""
    text = text.strip()
    if '"' not in text:
        text = text.replace("'", '"')
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FormError(f"expected JSON, got {text[:60]!r}") from error


def json_list(text: str) -> list[Any]:
    value = json_value(text)
    if not isinstance(value, list):
        raise FormError(f"expected a list, got {type(value).__name__}")
    return value


def json_integers(text: str) -> tuple[int, ...]:
    return _all_integers(json_list(text))


def json_grid(text: str) -> tuple[tuple[int, ...], ...]:
    rows = json_list(text)
    if not all(isinstance(row, list) for row in rows):
        raise FormError("expected a list of lists")
    return tuple(_all_integers(row) for row in rows)


def word_groups(text: str) -> list[tuple[str, ...]]:
    """Reads lists of words and sorts the groups; the order within a group is kept."""
    groups = json_list(text)
    if not all(isinstance(group, list) and all(isinstance(word, str) for word in group) for group in groups):
        raise FormError("expected a list of lists of words")
    return sorted(tuple(group) for group in groups)


def unordered_groups(text: str) -> list[tuple[str, ...]]:
    return sorted(tuple(sorted(group)) for group in word_groups(text))


_ROLE = re.compile(r"(\w+) is an? (\w+)")
_JOINT = re.compile(r"\s*(?:,\s*and\s+|,\s*|;\s*|\s+and\s+)")


def roles(text: str) -> dict[str, str]:
    """Reads `Zoe is a knight, and Jack is a knave` as role by name, both in lower case."""
    found: dict[str, str] = {}
    for part in _JOINT.split(nonempty_line(text).casefold()):
        name, role = matched(_ROLE, part, "`NAME is a ROLE` for each").groups()
        if found.setdefault(name, role) != role:
            raise FormError(f"{name} is given two roles")
    return found


def _all_integers(values: list[Any]) -> tuple[int, ...]:
    if not all(type(value) is int for value in values):  # True is not a number here
        raise FormError("expected whole numbers")
    return tuple(values)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
