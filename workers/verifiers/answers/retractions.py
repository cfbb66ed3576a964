"""Whether a writer stands by an answer: what denies, supposes, doubts, asks or takes it back around its place.

Invariant: what is found here makes an answer no commitment, never a right one. Every pattern is linear in the text.
"""

import re
from collections.abc import Iterable, Sequence

from workers.verifiers.answers.final_answer import ANCHOR, CORRECTION, HEDGE, NoAnswerError, Place, marked, stated

DOUBT = (
    r"maybe|perhaps|possibly|probably|presumably|might|could|either|neither|unless|unsure|uncertain|whether"
    r"|(?<!no )(?<!any )(?<!little )(?<!without )(?<!beyond )doubt|suppose|assume|guess"
)
"""Words, as alternatives of a pattern."""
_OTHERS = (
    r"(?:some|others|many|few|people|students?|they|nobody|no\s+one)\s+(?:\w+\s+)?"
    r"(?:say|think|believe|claim|argue|guess|get|answer)"
)
_STATEMENT = re.compile(
    rf"(?:\b(?:{DOUBT}|not|never|cannot|false|wrong|incorrect|untrue|if|unlikely|believe\s+neither|{_OTHERS})\b|n't\b)"
    r"(?:\s+(?!(?:so|thus|hence|therefore|then)\b)[\w']+){0,3}\s*$"
    r"|\b(?:no|nicht|pas|não|non|не)\s+(?!doubt\b|question\b|matter\b)\S{1,12}\s+\S{0,12}\s*$"
    r"|\b(?:previous|earlier|former|old|rejected)\s*$",
    re.IGNORECASE,
)
"""At the end of what stands before `the answer is`; a conclusion (`so the answer is`) begins anew."""
_BOX = re.compile(
    rf"(?:\b(?:{DOUBT}|not|never|far\s+from|anything\s+but|nothing\s+like|nowhere\s+near)|n't)"
    r"(?:\s+(?:be|it's|is|it\s+is))?\s*[$({\\\[]{0,4}$",
    re.IGNORECASE,
)
"""At the end of what stands before a box."""
_WRONG = r"(?:wrong|incorrect|false|not\s+(?:right|correct)|a\s+mistake)"
_REJECTED = re.compile(
    r"[\s$*)\]}.!,]{0,8}(?:"
    r"\?|(?:i\s+(?:guess|suppose)|maybe|perhaps|possibly|probably|presumably|or\s+is\s+it|or\s+not)\b"
    r"|(?:(?:no|oh|wait|hmm|oops|actually|sorry|but)\b[,.!\s]{0,4}){0,2}"
    rf"(?:that|this|which|it)(?:'s|\s+is|\s+was)\s+{_WRONG}\b)",
    re.IGNORECASE,
)
"""Right behind an answer."""
_TAKEN_BACK = re.compile(
    r"\b(?:scratch\s+that|i\s+was\s+wrong(?!\s+to\b)|never\s?mind(?!\s+(?:the|that|about)\b)|on\s+second\s+thoughts?"
    r"|i(?:'ve|\s+have)?\s+made\s+an?\s+(?:mistake|error)|that\s+can(?:'t|not)\s+be\s+right|or\s+is\s+it)\b",
    re.IGNORECASE,
)
"""Anywhere behind an answer."""
_CALLED_WRONG = re.compile(rf"\b(?:that|this|which)(?:'s|\s+is|\s+was)\s+{_WRONG}\b", re.IGNORECASE)
"""Behind an answer this may be said of another."""
_SENTENCE_END = re.compile(r"[.!?;](?=\s|\Z)|\n")
_REACH = 80
"""Characters before a place in which a denial of it begins."""
CORRECTIONS = 20
"""The last ones that are looked at; nobody changes his mind more often."""


def standing(text: str) -> tuple[list[Place], list[Place]]:
    """Boxes (and tags) and statements after the last correction that gives one. Raises NoAnswerError where one is
    hedged, denied or taken back.
    """
    boxes, statements = marked(text), stated(text)
    for correction in list(CORRECTION.finditer(text))[: -CORRECTIONS - 1 : -1]:
        later = [[own for own in places if own.start >= correction.start()] for places in (boxes, statements)]
        if any(later):
            boxes, statements = later
            break
    if any(HEDGE.search(place.before) for place in (*boxes, *statements)):
        raise NoAnswerError("the answer is hedged")
    check_stands(text, boxes, statements)
    return boxes, statements


def box_denied(place: Place) -> bool:
    """By what stands before it, also before the `the answer is` that introduces it."""
    if _BOX.search(place.before[-_REACH:]):
        return True
    anchors = list(ANCHOR.finditer(place.before))
    return bool(anchors) and _denies(place.before[: anchors[-1].start()])


def statement_denied(place: Place) -> bool:
    """By what stands before its `the answer is`."""
    return _denies(place.before)


def rejected(text: str, end: int) -> bool:
    """Whether an answer that ends at `end` is asked, doubted or called wrong right behind it."""
    return _REJECTED.match(text, end) is not None


def taken_back(text: str, start: int) -> bool:
    """Whether what stands behind the last answer, which ends at `start`, takes it back."""
    return _TAKEN_BACK.search(text, start) is not None


def disowned(text: str) -> bool:
    """Whether a text that marks no answer takes back what it says."""
    return taken_back(text, 0) or _CALLED_WRONG.search(text) is not None


def statement_end(place: Place) -> int:
    """Of its sentence."""
    found = _SENTENCE_END.search(place.text)
    return place.end - len(place.text) + (found.start() if found else len(place.text))


def check_stands(text: str, boxes: Sequence[Place], statements: Sequence[Place]) -> None:
    """Raises NoAnswerError where one of the places in `text` is denied, doubted, asked or called wrong."""
    if any(map(box_denied, boxes)) or any(map(statement_denied, statements)):
        raise NoAnswerError("the answer is denied or doubted")
    ends = _ends(boxes, statements)
    if any(rejected(text, end) for end in ends) or (ends and taken_back(text, max(ends))):
        raise NoAnswerError("the answer is doubted or taken back")


def _ends(boxes: Iterable[Place], statements: Iterable[Place]) -> list[int]:
    return [place.end for place in boxes] + [statement_end(place) for place in statements]


def _denies(before: str) -> bool:
    return _STATEMENT.search(before[-_REACH:]) is not None
