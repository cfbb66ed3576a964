"""Wordings before an answer, or at its beginning, that deny it or suppose another case.

Invariant: a denial removes an answer; it never makes one right, except that `not A but B` gives B. Every pattern is
linear in the text, or reads a bounded window.
"""

import re

from workers.verifiers.answers.scan import WordGuard
from workers.verifiers.answers.sentences import sentence_end
from workers.verifiers.answers.statements import ANCHORS

_REACH = 80
"""Characters before a place in which a denial of it begins."""
_BEHIND = 200
"""Characters behind `not` in which its `but` is looked for."""

_DOUBT = (
    r"maybe|perhaps(?!\s+surprisingly)|possibly|probably|presumably|might|could|either(?!\s+(?:way|case))|neither|unless|unsure|uncertain|whether"
    r"|(?<!no )(?<!any )(?<!little )(?<!without )(?<!beyond )doubt|suppose|assume|guess"
)
"""Words, as alternatives of a pattern."""
_OTHERS = (
    r"(?:some|others|many|few|people|students?|they|nobody|no\s+one)\s+(?:\w+\s+)?"
    r"(?:say|think|believe|claim|argue|guess|get|answer)"
)
_STATEMENT_DENIED = re.compile(
    rf"(?:\b(?:{_DOUBT}|not|never|cannot|false|wrong|incorrect|untrue|if|unlikely|believe\s+neither|pretend|imagine|tempting\s+to|at\s+first(?:\s+(?:glance|sight)\b,?)?|{_OTHERS})\b|n't\b)"
    r"(?:\s+(?!(?:so|thus|hence|therefore|then|but)\b)[\w']+){0,3}\s*$"
    r"|\b(?:no|nicht|pas|não|non|не)\s+(?!doubt\b|question\b|matter\b)\S{1,12}\s+\S{0,12}\s*$"
    r"|\b(?:previous|earlier|former|old|rejected|first|initial)\s*$",
    re.IGNORECASE,
)
"""Denials right before `the answer is`. They do not reach beyond `so`, `thus` or `therefore`."""
_DOUBT_WORDS = (
    *("maybe", "perhaps", "possibly", "probably", "presumably", "might", "could", "either", "unless", "unsure"),
    *("uncertain", "whether", "doubt", "suppose", "assume", "guess", "not", "n't", "never", "не"),
)
_STATEMENT_DENIED_WORDS = WordGuard(
    [
        *(*_DOUBT_WORDS, "no", "false", "wrong", "incorrect", "untrue", "if", "unlikely", "pretend", "imagine"),
        "tempting",
        *("first", "say", "think", "believe", "claim", "argue", "get", "answer", "nicht", "pas", "não", "previous"),
        *("earlier", "former", "old", "rejected", "initial"),
    ]
)
"""Each match of `_STATEMENT_DENIED` holds one of them; `no` is also in `not` and `cannot`."""
_WOULD_BE = re.compile(r"[^\n.:]{0,30}?\s(?:would|could|might)\s+(?:be|have\s+been)\b", re.IGNORECASE)
_OTHER_CASE = re.compile(r"\bif\b.*\b(?:were|was|had|asked|wanted|meant|instead)\b", re.IGNORECASE)
"""Before `the answer would be`: a question that is not the one asked."""
_IF_ONLY = re.compile(
    r"\bif\b[^\n.]{0,100}?(?:\b(?:were|had|held|did)\b|,\s*but\s(?:[^\n.]{0,60}\s)?(?:\w+n't|not|never)\b)",
    re.IGNORECASE,
)
"""Behind `the answer would be`: a case that is not so."""
_IF_NOT = re.compile(
    r"\bif\s+(?:(?:it|this|that|(?:the|my)\s+(?:\w+\s+)?(?:answer|guess))\s*(?:'s|is|was)?\s*(?:n't|not|wrong)|not)\b[^.:;]*\Z",
    re.IGNORECASE,
)
"""Before `the answer is`: another answer is supposed not to be right, as in `If it isn't Rome, the answer is`."""
_MARK_DENIED = re.compile(
    rf"(?:\b(?:{_DOUBT}|not|never|cannot|far\s+from|nothing\s+like|nowhere\s+near|rather\s+than|instead\s+of|except|other\s+than|(?:any|every|no)thing\s+but|nicht|pas|não|не)|n't)"
    r"(?:\s+(?:be|it's|is|it\s+is|equal(?:\s+to)?|also\s+be))?\s*[$({\\\[]{0,4}\s*$"
    r"|\b(?:would\s+(?:write|look\s+like)|format\s+(?:is|would\s+be))\s*:?\s*[$({\\\[]{0,4}\s*$",
    re.IGNORECASE,
)
"""At the end of what comes before a mark, which may also be an example of the form that answers take."""
_MARK_DENIED_WORDS = WordGuard(
    [
        *(*_DOUBT_WORDS, "nowhere", "far", "like", "rather", "instead", "except", "other", "but", "nicht", "pas"),
        *("não", "would", "format"),
    ]
)
"""Each match of `_MARK_DENIED` holds one of them."""
_DENYING_LEAD = re.compile(
    r"\W{0,3}(?:(?:definitely|certainly|clearly|obviously|surely|also|most|very|is|be)\s+){0,2}"
    r"(?P<word>not|never|n't|far\s+from|anything\s+but|nothing\s+like|other\s+than|nicht|pas|no\s+es|não|não\s+é|не|不是|并非"
    r"|(?P<doubt>maybe|perhaps|possibly|probably|presumably|likely|either|neither|unclear|unknown|unsure|uncertain"
    r"|i\s+(?:guess|suppose|suspect)|vielleicht|peut-être|quizás|talvez|forse|возможно|可能))(?:\s+(?:be|is)\b)?[\s:,]*",
    re.IGNORECASE,
)
"""Denials and doubt at the beginning of a statement's content: `the answer is not 5`."""
_INSTEAD = re.compile(
    r"[\s,;:—–-]+(?:but|rather|it's|it\s+is|instead|sondern|mais|sino|mas|а)\b[\s,]*(?:rather\s+)?", re.IGNORECASE
)


def is_mark_denied(text: str, before: str, end: int) -> bool:
    """Whether a mark, or the `the answer is` that introduces it, follows a denial; `before`: its sentence up to it."""
    if not before:
        return False
    near = before[-_REACH:]
    if _MARK_DENIED_WORDS.are_in(near) and _MARK_DENIED.search(near):
        return True
    anchors = ANCHORS.matches(before)
    if not anchors:
        return False
    would = _WOULD_BE.match(anchors[-1].group()) is not None
    return _is_announcement_denied(before[: anchors[-1].start()]) or (would and _is_other_case(text, end))


def is_statement_denied(text: str, start: int, before: str) -> bool:
    """Whether the words before `the answer is` deny it, or `the answer would be` speaks of another case."""
    if _is_announcement_denied(before):
        return True
    if "be" not in text[start : start + _REACH]:
        return False
    would = _WOULD_BE.match(text, start)
    return would is not None and (_OTHER_CASE.search(before) is not None or _is_other_case(text, would.end()))


def _is_announcement_denied(before: str) -> bool:
    if not before or before.isspace():
        return False
    if not _STATEMENT_DENIED_WORDS.are_in(before):
        return False
    return _STATEMENT_DENIED.search(before[-_REACH:]) is not None or _IF_NOT.search(before) is not None


def _is_other_case(text: str, start: int) -> bool:
    """Whether the rest of the sentence supposes what is not so."""
    return _IF_ONLY.search(text, start, sentence_end(text, start)) is not None


def denying_lead(text: str) -> tuple[int, bool] | None:
    """Returns the length of the denial or doubt that the text begins with, and whether it is doubt."""
    found = _DENYING_LEAD.match(text)
    return (found.end(), found["doubt"] is not None) if found and text[found.end() :].strip(" .!?") else None


def instead(text: str, start: int) -> str | None:
    """Returns what follows `but` if `not` ends at `start`: B of `not A but B`."""
    found = _INSTEAD.search(text, start, start + _BEHIND)
    return text[found.end() :] if found else None
