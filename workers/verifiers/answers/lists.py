r"""Items of a written set or list, and the key by which two items are the same.

Invariant: keys are equal exactly for items that say the same: numbers by value, nested lists item by item, other text
as `exact` normalises it. Every reading of a text uses all of it.
"""

import re
from collections.abc import Hashable, Iterator
from fractions import Fraction

from workers.verifiers.answers.markup import unwrapped
from workers.verifiers.answers.normalisation import normalise
from workers.verifiers.answers.numbers import read_number

MAX_ITEMS = 1000
MAX_DEPTH = 8

_BRACKETS = {"{": "}", "[": "]", "(": ")"}
_ESCAPES = [
    (re.compile(r"\\(?:left|right)(?![A-Za-z])\s?"), ""),
    (re.compile(r"\\(?:lbrace(?![A-Za-z])|\{)"), "{"),
    (re.compile(r"\\(?:rbrace(?![A-Za-z])|\})"), "}"),
    (re.compile(r"\\(?:,|;|:|!| |quad(?![A-Za-z]))|~"), " "),
    (re.compile(r"\\(?:emptyset|varnothing)(?![A-Za-z])"), "∅"),
    (re.compile("[、，]"), ","),
    (re.compile("；"), ";"),
]
_EMPTY = re.compile(
    r"\s*(?:∅|(?:the\s+)?empty\s+(?:set|list)|none|\{\s*∅?\s*\}|\[\s*\]|\(\s*\))\s*\.?\s*", re.IGNORECASE
)
_BULLET = re.compile(r"^\s*(?:[-*•‣·]|\(?\d{1,3}[.)])\s+")
_THOUSANDS = re.compile(r",(\d{3})(?!\d)")
_AND = re.compile(r"(?:,\s*)?(?:\b(?:and|und|et|y|и)\b|&|\\&|以及|[和与與及])\s*", re.IGNORECASE)


def readings(text: str, separators: str) -> Iterator[list[str]]:
    """Each way to read the text as items, the likeliest first."""
    for pattern, replacement in _ESCAPES:
        text = pattern.sub(replacement, text)
    if _EMPTY.fullmatch(text):
        yield []
        return
    inner = _opened(text.strip())
    for body in dict.fromkeys((inner, text.strip())):
        for joined in (False, True):
            for thousands in (False, True):
                items = _items(body, separators, joined=joined, thousands=thousands)
                if items is not None:
                    yield items


def _items(text: str, separators: str, *, joined: bool, thousands: bool) -> list[str] | None:
    """`joined`: the last `and` separates; `thousands`: commas within numbers do not. None if an item is empty."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(_BULLET.match(line) for line in lines):
        text = "\n".join(_BULLET.sub("", line).rstrip(" ,;.") for line in lines)
        parts = text.split("\n")
    else:
        parts = _split(text, separators, thousands=thousands)
    if joined:
        last = [
            part for part in _AND.split(parts[-1], maxsplit=1) if part.strip()
        ]  # nothing stands before an Oxford and
        parts = [*parts[:-1], *last]
    found = [part.strip() for part in parts]
    if len(found) > 1 and not found[-1]:
        found.pop()  # a trailing separator
    return found if all(found) and len(found) <= MAX_ITEMS else None


def _split(text: str, separators: str, *, thousands: bool) -> list[str]:
    """Splits at separators outside of brackets and quotes."""
    parts, depth, start, quote = [], 0, 0, ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character == '"':
            quote = character
        elif character in _BRACKETS:
            depth += 1
        elif character in _BRACKETS.values():
            depth -= 1
        elif character in separators and depth <= 0 and not _within_number(text, position, thousands=thousands):
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _within_number(text: str, position: int, *, thousands: bool) -> bool:
    """Three digits that begin with 0 are not an item by themselves."""
    if text[position] != "," or not text[position - 1 : position].isdigit():
        return False
    group = _THOUSANDS.match(text, position)
    return group is not None and (thousands or group.group(1).startswith("0"))


def _opened(text: str) -> str:
    """Without one pair of brackets around all of it."""
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += (character in _BRACKETS) - (character in _BRACKETS.values())
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1].strip()


def key_of(item: str, *, case_sensitive: bool, depth: int = 0) -> Hashable:
    item = unwrapped(item.strip())
    if len(item) > 1 and item[0] == item[-1] and item[0] in "\"'`":
        return _text_key(item[1:-1], case_sensitive=case_sensitive)
    number = read_number(item.replace("\N{MINUS SIGN}", "-"))
    if number is not None:
        return ("number", number.value, number.unit)
    fraction = re.fullmatch(r"(?:\\[dt]?frac\{(-?\d{1,30})\}\{(\d{1,30})\}|(-?\d{1,30})\s?/\s?(\d{1,30}))", item)
    if fraction:
        over, under = (int(part) for part in fraction.groups() if part is not None)
        if under:
            return ("number", Fraction(over, under), "")
    opened = _opened(item)
    if opened != item and depth < MAX_DEPTH:
        kind = item[0]
        keys = [
            key_of(own, case_sensitive=case_sensitive, depth=depth + 1) for own in _split(opened, ",;", thousands=False)
        ]
        return (kind, frozenset(keys)) if kind == "{" else ("(", tuple(keys))
    return _text_key(item, case_sensitive=case_sensitive)


def _text_key(text: str, *, case_sensitive: bool) -> Hashable:
    return ("text", normalise(text, ignore_articles=True, case_sensitive=case_sensitive))
