"""The answers that a response commits to, as text: `<answer>` tags, boxes, `the answer is`, or the whole text.

Invariant: nothing is guessed and nothing is evaluated. Every answer that is marked as one is returned, so that those
which disagree can be told.
"""

import re
from dataclasses import dataclass

from workers.verifiers.answers.final_answer import NoAnswerError

MAX_TEXT = 50_000
"""Characters after the reasoning; a longer text is not searched. Right answers are seldom longer than 5,000."""
MAX_ANSWERS = 20
"""Marks and `the answer is`; who gives more commits to none, and each costs a check."""

_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_MARK = "\N{OBJECT REPLACEMENT CHARACTER}"
_ANCHOR = re.compile(r"\b(?:final\s+)?answer\s*(?:is\b\s*:?|:|=)", re.IGNORECASE)
_BRACES = re.compile(r"\\f?boxed\s{0,3}\{|[{}]")
_FENCE = re.compile(r"```[^\n`]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_EMPHASIS = re.compile(r"(\*\*|__|`|\$)(?=\S)(.+)(?<=\S)\1", re.DOTALL)
_COMMAND = re.compile(r"\\(?:text|mathrm|texttt|textbf)\{([^{}]*)\}")
_HEDGE = re.compile(
    r"^\W*or\b|\bor\s+(?:maybe|perhaps|possibly|else|it)\b|\b(?:maybe|perhaps|possibly|alternatively|unsure|"
    r"not\s+sure|might\s+be|could\s+(?:also\s+)?be)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Committed:
    marked: tuple[str, ...]
    """Contents of the tags and boxes."""
    said: tuple[tuple[str, str], ...]
    """What follows each `the answer is`: to the end of its line, and to the end of the text or the next one."""
    whole: str
    """The text where nothing marks an answer, else empty."""


def committed(text: str) -> Committed:
    """Raises NoAnswerError where the text is empty or too long, a mark does not close, or a hedge follows."""
    if len(text) > MAX_TEXT:
        raise NoAnswerError(f"{len(text)} characters are more than {MAX_TEXT}")
    if not text.strip():
        raise NoAnswerError("nothing stands after the reasoning")
    tags, outside = _tagged(text)
    boxes, outside = _boxed(outside)
    if _HEDGE.search(outside.rpartition(_MARK)[2] if tags or boxes else _last_said(outside)):
        raise NoAnswerError("the answer is hedged")
    if len(tags) + len(boxes) + len(_ANCHOR.findall(outside)) > MAX_ANSWERS:
        raise NoAnswerError(f"more than {MAX_ANSWERS} answers")
    said = tuple(_said(outside))
    marked = tuple(clean(answer) for answer in tags + boxes)
    return Committed(marked, said, "" if marked or said else clean(text))


def clean(text: str) -> str:
    """Without what typesets it: one code fence, one box, emphasis, `$`, LaTeX's text commands. Lines are kept."""
    text = text.strip("\n").rstrip()
    fence = _FENCE.fullmatch(text.strip())
    if fence:
        text = fence.group(1)
    if text.strip().startswith("\\boxed{") and text.strip().endswith("}"):
        text = text.strip()[len("\\boxed{") : -1]
    text = _COMMAND.sub(r"\1", text)
    while (bare := _EMPHASIS.fullmatch(text.strip())) and bare.group(1) not in bare.group(2):
        text = bare.group(2)
    return text


def _tagged(text: str) -> tuple[list[str], str]:
    """Contents of the tags, and the text with a mark in their place. Raises NoAnswerError where one does not close."""
    found: list[str] = []
    kept: list[str] = []
    opened, last = -1, 0
    for tag in _TAG.finditer(text):
        closes = bool(tag.group(1))
        if closes != (opened >= 0):
            break
        if closes:
            found.append(text[opened : tag.start()])
            opened, last = -1, tag.end()
        else:
            kept.append(text[last : tag.start()])
            opened = last = tag.end()
    else:
        if opened < 0:
            return found, _MARK.join([*kept, text[last:]])
    raise NoAnswerError("an <answer> tag does not close, or stands in another")


def _boxed(text: str) -> tuple[list[str], str]:
    """Contents of each outermost box, and the text with a mark in its place. Raises NoAnswerError where one does not
    close.
    """
    found: list[str] = []
    kept: list[str] = []
    depth = start = last = 0
    for match in _BRACES.finditer(text):
        if depth:
            depth += -1 if match.group() == "}" else 1
            if not depth:
                found.append(text[start : match.start()])
                last = match.end()
        elif match.group().startswith("\\"):
            kept.append(text[last : match.start()])
            depth, start = 1, match.end()
    if depth:
        raise NoAnswerError("a \\boxed{ does not close")
    return found, _MARK.join([*kept, text[last:]])


def _said(text: str) -> list[tuple[str, str]]:
    """An anchor before a tag or a box says nothing of its own."""
    found = []
    anchors = list(_ANCHOR.finditer(text))
    ends = [anchor.start() for anchor in anchors[1:]] + [len(text)]
    for anchor, end in zip(anchors, ends, strict=False):  # without an anchor there is still one end
        rest = text[anchor.end() : end]
        line = rest.split("\n", 1)[0]
        if _MARK not in (line if line.strip() else rest):
            found.append((clean(line.strip()), clean(rest)))
    return found


def _last_said(text: str) -> str:
    """The lines after the last anchor's own; nothing where there is no anchor."""
    anchors = list(_ANCHOR.finditer(text))
    return text[anchors[-1].end() :].partition("\n")[2] if anchors else ""
