"""JSON as RFC 8259 has it, where it stands in a response, and when two values are equal.

Invariant: a text is parsed only within bounds, so that parsing takes linear time and no deep stack.
"""

import json
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NoReturn

MAX_TEXT = 1_000_000
MAX_DEPTH = 200
"""Python's parser and jsonschema recurse; a verifier process stands 3000 frames."""
MAX_DIGITS = 400
"""Digits of one number; Python refuses integers above 4300, and doubles end at 309."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)[ \t]*\n(.*?)^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
_OPEN_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_LANGUAGES = frozenset(["", "json", "json5", "jsonc", "text", "plaintext"])
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class NotJsonError(ValueError):
    """The text is no JSON value, or not within the bounds; the message says why."""


def parse(text: str) -> Any:
    """Raises NotJsonError."""
    if len(text) > MAX_TEXT:
        raise NotJsonError(f"{len(text)} characters are more than {MAX_TEXT}")
    if text.count("[") + text.count("{") > MAX_DEPTH and depth_of(text) > MAX_DEPTH:  # counting is far quicker
        raise NotJsonError(f"nested more than {MAX_DEPTH} deep")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_number
        )
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    except NotJsonError:
        raise
    except ValueError as error:
        raise NotJsonError(f"no JSON: {error}") from error


def candidates(text: str, *, extra_text: bool) -> list[str]:
    """The texts of which each must be the JSON: fenced blocks, or the whole. Raises NotJsonError."""
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise NotJsonError("nothing stands after the reasoning")
    if len(text) > MAX_TEXT:
        raise NotJsonError(f"{len(text)} characters are more than {MAX_TEXT}")
    fences = list(_FENCE.finditer(text))
    if fences:
        if _OPEN_FENCE.search(_FENCE.sub("", text)):
            raise NotJsonError("a fenced block does not close")
        blocks = [fence[3] for fence in fences if fence[2].casefold() in _LANGUAGES]
        if not blocks:
            raise NotJsonError("no fenced block holds JSON")
        return blocks
    return _embedded(text) if extra_text else [text]


def depth_of(text: str) -> int:
    """The deepest nesting of brackets outside strings."""
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        character = match.group()
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def equal(left: Any, right: Any) -> bool:
    """Compares by value and kind: 1 equals 1.0, true equals only true."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _embedded(text: str) -> list[str]:
    """The whole where it is JSON, else each outermost object or list that is. Raises NotJsonError."""
    try:
        parse(text)
    except NotJsonError:
        found = list(_outermost(text))
        if not found:
            raise NotJsonError("no JSON object or list stands in the text") from None
        return found
    return [text]


def _outermost(text: str) -> Iterator[str]:
    """Balanced brackets from the first opening one on, strings skipped within them."""
    depth = start = 0
    position = 0
    while position < len(text):
        character = text[position]
        if depth and character == '"':
            end = _STRING.match(text, position)
            position = end.end() if end else len(text)
            continue
        if character in "[{":
            start = position if not depth else start
            depth += 1
        elif character in "]}" and depth:
            depth -= 1
            if not depth:
                yield text[start : position + 1]
        position += 1
    if depth:
        raise NotJsonError("a bracket does not close")


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises NotJsonError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = sorted(key for key, _ in pairs)
        raise NotJsonError(f"the key {next(a for a, b in pairwise(keys) if a == b)!r:.80} comes twice")
    return found


def _constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is no JSON")


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise NotJsonError(f"a number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise NotJsonError(f"a number of {len(text)} digits")
    value = float(text)
    if math.isinf(value):
        raise NotJsonError(f"{text[:40]} is beyond the range of numbers")
    return value
