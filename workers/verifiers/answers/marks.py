r"""Finds where a response marks its answer: `\boxed{...}` and `<answer>...</answer>`.

Invariant: what a mark holds is read whole or not at all. A mark that only echoes the prompt's form (`\boxed{}`,
`\boxed{answer}`, `<answer> and </answer>`) is not a mark. Every search is linear in the text.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from workers.verifiers.answers.markup import BRACES, NoAnswerError, enclosed, latex_text

MAX_MARKS = 100
"""Boxes and tags in one answer; a longer list of them is a guess, not an answer."""

_LONGEST_ECHO = 60
_TAG = re.compile(r"<\s?(?P<close>/?)\s?answer\s?>", re.IGNORECASE)
_ECHO = re.compile(
    r"(?:(?:[\[<{(_*#.…?\\\s$|\"'`-]|\\[lc]?dots|\\quad|\\square|\\underline\{\}|\\[hv]?phantom\{[^{}]{0,40}\}|\b(?:x{3,}|n/a)\b)*"
    r"|[\[<{(\"'`\s_]{0,4}(?:(?:(?:insert|put|write|place|enter)[\s_-]+)?(?:the|your|my|an|a)?[\s_-]*(?:final|correct|exact|numeric(?:al)?)?"
    r"[\s_-]*(?:answer|ans|result|number|value|solution|choice|letter|option|expression)(?:[\s_-]*(?:here|goes\s+here|text|value))?"
    r"|and|or|tags?)[\s_.…:]{0,3}[\]>})\"'`\s_]{0,4})",
    re.IGNORECASE,
)
"""Contents that name the place of an answer and give none."""
_JOIN = re.compile(
    r"[\s$.]{0,4}(?:,|;|\band\b|\bor\b|,\s*and\b|,\s*or\b)[\s$]{0,4}(?:[A-Za-z]\w{0,2}\s*=\s*)?[\s$]{0,3}",
    re.IGNORECASE,
)


class Mark(NamedTuple):
    text: str
    """The content of the mark."""
    start: int
    end: int
    """`start` and `end` enclose the whole mark in the response."""


def marks(text: str, *, literal: Callable[[str], bool]) -> tuple[list[Mark], list[Mark]]:
    """Returns marks and echoes in the response's order; boxes within a tag replace it.

    `literal` says whether a text is a possible answer.

    Raises NoAnswerError if a box or the only tag does not close, if there are too many, or if all of them are echoes.
    """
    if "boxed" not in text and "<" not in text:
        return [], []
    boxes = _boxes(text)
    tags = _tags(text, boxes)
    found = sorted([*boxes, *tags], key=lambda mark: mark.start)
    kept = [mark for mark in found if literal(mark.text) or not _is_echo(mark.text)]
    if len(kept) > MAX_MARKS:
        raise NoAnswerError(f"{len(kept)} boxes are more than {MAX_MARKS}")
    return kept, [mark for mark in found if mark not in kept] if len(kept) < len(found) else []


def enumerated(text: str, found: Sequence[Mark]) -> str | None:
    r"""The marks as one list if they are one in the text: `x = \boxed{2}` and `x = \boxed{3}`; None if they are not."""
    gaps = [text[left.end : right.start] for left, right in pairwise(found)]
    if not gaps or len({mark.text for mark in found}) < len(found) or not all(map(_JOIN.fullmatch, gaps)):
        return None
    return ", ".join(mark.text for mark in found)


def _is_echo(text: str) -> bool:
    return len(text) <= _LONGEST_ECHO and _ECHO.fullmatch(latex_text(enclosed(text))) is not None


def _boxes(text: str) -> list[Mark]:
    """Outermost ones, without a box that is all another holds. Raises NoAnswerError."""
    found: list[Mark] = []
    if "boxed" not in text:
        return found
    depth = start = inside = 0
    for match in BRACES.finditer(text):
        if depth:
            depth += -1 if match.group() == "}" else 1
            if not depth:
                found.append(Mark(_unboxed(text[inside : match.start()].strip()), start, match.end()))
        elif match.group().startswith("\\"):
            depth, start, inside = 1, match.start(), match.end()
    if depth:
        raise NoAnswerError("a \\boxed{ does not close")
    return found


def _unboxed(text: str) -> str:
    for _ in range(3):
        opening = BRACES.match(text)
        if opening is None or not opening.group().startswith("\\") or not text.endswith("}"):
            break
        text = text[opening.end() : -1].strip()
    return text


def _tags(text: str, boxes: Sequence[Mark]) -> list[Mark]:
    """Returns the tags that hold no box. The last may lack its closing tag, which a stop string removes."""
    found: list[Mark] = []
    if "<" not in text:
        return found
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag["close"]:
            opened = tag
        elif opened is not None:
            found.append(_tag(text, opened, tag.start(), tag.end()))
            opened = None
    starts = [box.start for box in boxes]
    closed = [mark for mark in found if bisect_left(starts, mark.start) == bisect_left(starts, mark.end)]
    if opened is not None and not found and bisect_left(starts, opened.start()) == len(starts):
        last = _tag(text, opened, len(text), len(text))
        if last.text.count("{") != last.text.count("}"):
            raise NoAnswerError("an <answer> does not close")
        closed.append(last)
    return closed


def _tag(text: str, opened: re.Match[str], end: int, after: int) -> Mark:
    return Mark(text[opened.end() : end].strip("\n").rstrip(), opened.start(), after)
