"""Wordings around an answer that hedge, doubt, suppose, ask, reject or take it back.

Invariant: these wordings can only remove an answer, never make it right. Doubt about something else (in the working,
or in the explanation that follows) does not count. Every pattern is linear in the text, or reads a bounded window.
"""

import re

from workers.verifiers.answers.scan import Keyed, WordGuard

_REACH = 80
"""Characters before a place in which a denial of it begins."""
_BEHIND = 200
"""Characters behind a place in which doubt about it is looked for."""
_CUT_OFF_REACH = 20
"""Characters at the end of a text in which its last word begins."""
_SHORTEST = 4
"""Characters behind a place that can say nothing of it, such as a full stop and a closing bracket."""
_UNSURE = (
    r"\b(?:i'm|i\s+am|am|but|though|although|still|and)\s+(?:\w+\s+)?(?:not|n't)\s+(?:\w+\s)?(?:sure|certain|confident)\b"
    r"|^\W*not\s+(?:\w+\s)?(?:sure|certain)\b|(?<!was\s)(?<!were\s)\bunsure\b|\b(?:i'm|i\s+am|am)\s+(?:\w+\s+)?uncertain\b"
    r"|\bi\s+(?:can't|cannot|can\s+not)\s+be\s+(?:\w+\s)?(?:sure|certain)\b"
)
_NOT_SURE = (
    (_UNSURE, ("sure", "certain", "confident")),
    (r"\bi\s+(?:really\s+)?(?:don't|do\s+not)\s+(?:really\s+)?know\b", ("know",)),
    (r"\bno\s+idea\b", ("idea",)),
)
"""The writer's doubt in the first person, anywhere in a sentence; each pattern with its words."""
_HEDGE = re.compile(
    r"\b(?:maybe|perhaps(?!\s+surprisingly)|possibly|probably|presumably|(?<!most\s)likely|might|may\s+be|could\s+be"
    r"|either(?!\s+(?:way|case))|(?<!no\s)guess(?:ing)?|suppose|suspect)\b"
    r"|\b(?:vielleicht|vermutlich|wahrscheinlich|peut-être|probablement|quizás|quizá|tal\s+vez|probablemente|talvez|provavelmente|forse|probabilmente"
    r"|возможно|вероятно|наверное)\b|可能|也许|大概|おそらく|たぶん|아마",
    re.IGNORECASE,
)
"""Words that hedge an answer in the same clause."""
_HEDGE_WORDS = WordGuard(
    [
        *("maybe", "perhaps", "possibly", "probabl", "presumably", "likely", "might", "may", "could"),
        *("either", "guess", "suppose", "suspect", "vielleicht", "vermutlich", "wahrscheinlich", "peut-", "quiz"),
        *("vez", "provavelmente", "forse", "возможно", "вероятно", "наверное", "可能", "也许", "大概"),
        *("おそらく", "たぶん", "아마"),
        *(word for _, words in _NOT_SURE for word in words),
    ]
)
"""Each match of `_HEDGE` and `_OWN_DOUBT` holds one of them."""
_OWN_DOUBT = Keyed(*_NOT_SURE)
_SHORT_DOUBT = Keyed(
    (
        r"(?:\A|[\n.!?])\W*(?:(?:i'm|i\s+am)\s+)?(?:not\s+(?:\w+\s)?(?:sure|certain)|unsure)[.!]\s*\Z",
        ("sure", "certain"),
    )
)
"""A whole sentence of doubt, right before the sentence of an answer."""
_UNFINISHED = Keyed(
    (
        r"\bbut\s+(?:wait\b|let\s+me\b|let's\b|first\b|(?:i|we)\s+(?:still\s+)?(?:should|need\s+to|must|have\s+to)\b)",
        ["but"],
    )
)
"""More work that a plain sentence announces."""
_CLAUSE = re.compile(
    r"[,;:]|\s[—–-]\s|\b(?:but|so|hence|thus|therefore|then|because|since|however|and\s+so|which\s+means|meaning)\b",
    re.IGNORECASE,
)
_EXCEPT = (
    r"\b(?:except(?:ing)?|other\s+than|(?:any|every|no)thing\s+but)\b|\b(?:(?:twice|thrice|double|triple)(?:\s+of)?|(?:opposite|negative|negation|reciprocal|inverse"
    r"|complement|half|third|square|cube|root)\s+of)\s*(?=[$\\({\[+-]*\s?(?:\d|(?-i:[A-Z]+\b)))"
)
"""Words that make another value of the one that follows."""
_OPEN = Keyed(
    (
        r"\b(?:not|never|cannot|neither|nor|far\s+from)\b|n't\b|\?",
        ("not", "never", "neither", "nor", "far", "n't", "?"),
    ),
    (
        _EXCEPT,
        [
            *("except", "other", "thing", "twice", "thrice", "double", "triple", "opposite", "negati", "reciprocal"),
            *("inverse", "complement", "half", "third", "square", "cube", "root"),
        ],
    ),
)
"""Denials and questions in a plain sentence."""
_SUPPOSED = Keyed(
    (
        r"\b(?:whether|if|cannot|never|unless|suppose|assume|assuming|doubt|nobody|no\s+one)\b|n't\b",
        ["whether", "if", "cannot", "never", "unless", "suppose", "assum", "doubt", "nobody", "one", "n't"],
    )
)
_WRONG = r"(?:wrong|incorrect|false|not\s+(?:right|correct|true)|a\s+mistake|an\s+error)"
_REJECTED = re.compile(
    r"(?:[\s$*)\]}.!,\"']|\\[)\]]){0,8}(?:"
    rf"\?|(?:is|was|'s)\s+(?:\w+\s+)?{_WRONG}\b|(?:i\s+(?:guess|suppose)|maybe|perhaps|possibly|probably|presumably|or\s+is\s+it|or\s+not)\b(?=\s*(?:[.,;!?)\n]|\Z))"
    r"|(?:(?:but|and)\s+)?(?:that|this|which|it|the\s+check)\s+fails\b"
    r"|(?:(?:no|oh|wait|hmm|oops|actually|sorry|but)\b[,.!\s]{0,4}){0,2}"
    rf"(?:that|this|which|it)(?:'s|\s+is|\s+was)\s+(?:\w+\s+)?{_WRONG}\b)",
    re.IGNORECASE,
)
"""Rejections right behind an answer."""
_TAKEN_BACK = Keyed(
    (r"\bscratch\s+that\b", ["scratch"]),
    (r"\bi\s+was\s+wrong\b(?!\s+to\b)", ["wrong"]),
    (r"\bnever\s?mind\b(?!\s+(?:the|that|about)\b)", ["never"]),
    (r"\bon\s+second\s+thoughts?\b", ["second"]),
    (r"\bi(?:'ve|\s+have)?\s+made\s+an?\s+(?:\w+\s+)?(?:mistake|error)\b", ["mistake", "error"]),
    (
        r"\b(?:that\s+can(?:'t|not)\s+be|(?:that|this|it)\s+(?:doesn't|does\s+not)\s+(?:look|seem|sound|feel)(?:\s+quite)?)\s+right\b",
        ["right"],
    ),
    (r"\bjust\s+kidding\b", ["kidding"]),
    (r"\b(?:(?:that|this|it|which)\s+fails\s+(?:the|our|my|this)\s+check|the\s+check\s+fails)\b", ["fails"]),
    (r"\bi\s+take\s+(?:it|that)\s+back\b", ["back"]),
    (
        r"\b(?:ignore|disregard|forget)\s+(?:that|(?:my|this|the)\s+(?:\w+\s+)?answer|the\s+above)\b",
        ["ignore", "disregard", "forget"],
    ),
    (r"\bor\s+is\s+it\b", ["or"]),
)
"""Wordings that take an answer back from anywhere behind it."""
_CALLED_WRONG = Keyed(
    (
        rf"\b(?:that|this|which)(?:'s|\s+is|\s+was)\s+(?:\w+\s+)?{_WRONG}\b",
        ["wrong", "correct", "false", "right", "true", "mistake", "error"],
    )
)
"""Rejections that may be about another answer if they follow one."""
_DOUBTED = Keyed(
    *_NOT_SURE,
    (
        r"\b(?:(?:just|only|merely|is|was)\s+an?|(?:wild|random|blind|pure)|my(?:\s+best)?)\s+(?:(?:wild|random|blind|pure|educated)\s+)?guess\b|\bi'm\s+(?:just\s+|only\s+)?guessing\b",
        ["guess"],
    ),
    (r"\b(?:only\s+\d{1,2}|[1-4]?\d)\s*\\?%\s+(?:confident|sure|certain)\b", ["%"]),
    (
        rf"\b(?:answer|this|that|it)(?:'s|\s+is|\s+was)\s+(?:very\s+)?(?:probably|likely|possibly|most\s+likely)\s+{_WRONG}\b",
        ["probably", "likely", "possibly"],
    ),
    (r"\balso\s+(?:plausible|possible|correct|right)\b", ["also"]),
    (r"\b(?:maybe|perhaps|possibly|probably)\s*[.!?)]*\s*\Z", ["maybe", "perhaps", "possibly", "probably"]),
)
"""Doubt within a short distance behind an answer."""
_MAY_BE = Keyed(
    (r"\b(?:could|may|might)\s+(?:also\s+|well\s+|instead\s+|equally\s+)?be\b", ["could", "may", "might"]),
)
"""Each match of `_MAY_BE_ANOTHER` holds one of its matches."""
_MAY_BE_ANOTHER = re.compile(
    r"\bi\s+(?:could|may|might)\s+be\s+wrong\b"
    r"|\b(?:it|that|this|answer)\s+(?:could|may|might)\s+be\s+(?:wrong|incorrect|off)\b"
    r"|(?<!that )(?<!think )(?<!as )\b(?:it|(?:the\s+)?(?:correct\s+|right\s+|final\s+|true\s+)?answer|that)"
    r"\s+(?:could|might|may)"
    r"\s+(?:also\s+|well\s+|instead\s+|equally\s+)?be\b"
    r"(?!\s+(?:\w+ly\s+)?(?:\w+ed|seen|done|shown|written|found|made|said|that|helpful|useful|tempting|easier|simpler|noted|worth|different)\b)",
    re.IGNORECASE,
)
"""Another answer, or an error, that the writer thinks possible."""
_CUT_OFF = re.compile(
    r"(?:[=+×÷^≈]|\s[-–*/<]|\\(?:times|cdot|div|approx)|\b(?:and|or|nor|plus|minus|times|equals|is|are|was|were|to|of|than|with|the|but"
    r"|not|because|since|if|gives|makes))[\s$*]*\Z",
    re.IGNORECASE,
)
"""What a text does not end with unless it was cut off."""


def is_hedged(text: str, start: int, before: str) -> bool:
    """Whether doubt precedes a place: in the first person anywhere in its sentence, in other words in its clause.

    `before` is the sentence up to the place.
    """
    if start == 0:
        return False
    if len(before) < start:
        above = text[max(0, start - len(before) - _REACH) : start - len(before)].rstrip()
        if above.endswith((".", "!")) and _SHORT_DOUBT.is_in(above):
            return True
    if not before or before.isspace() or not _HEDGE_WORDS.are_in(before):
        return False
    if _OWN_DOUBT.is_in(before):
        return True
    clauses = _CLAUSE.split(before)
    if len(clauses) > 1 and not any(map(str.isalpha, clauses[-1])) and len(clauses[-2].split()) <= 4:
        return _HEDGE.search(clauses[-2]) is not None
    return _HEDGE.search(clauses[-1]) is not None


def is_rejected(text: str, end: int) -> bool:
    """Whether an answer that ends at `end` is asked, doubted or called wrong right behind it."""
    return _REJECTED.match(text, end) is not None


def is_taken_back(text: str, start: int) -> bool:
    """Whether what comes behind the last answer, which ends at `start`, takes it back."""
    return len(text) - start > _SHORTEST and _TAKEN_BACK.is_in(text, start)


def is_doubted(text: str, start: int) -> bool:
    """Whether the writer doubts the last answer, which ends at `start`, soon behind it."""
    if len(text) - start <= _SHORTEST:
        return False
    near = text[start : start + _BEHIND]
    return _DOUBTED.is_in(near) or (_MAY_BE.is_in(near) and _MAY_BE_ANOTHER.search(near) is not None)


def is_disowned(text: str) -> bool:
    """Whether a text that marks no answer takes back or doubts what it says."""
    return is_taken_back(text, 0) or _CALLED_WRONG.is_in(text) or _OWN_DOUBT.is_in(text)


def is_unfinished(text: str) -> bool:
    """Whether a text ends in the middle of a sentence or a calculation: `So 2 + 3 =`."""
    return _CUT_OFF.search(text, max(0, len(text) - _CUT_OFF_REACH)) is not None


def is_vague(sentence: str) -> bool:
    """Whether a plain sentence doubts what it says."""
    if _HEDGE_WORDS.are_in(sentence) and (_HEDGE.search(sentence) or _OWN_DOUBT.is_in(sentence)):
        return True
    return _UNFINISHED.is_in(sentence)


def is_open(text: str) -> bool:
    """Whether a plain text denies, supposes, doubts or asks anything."""
    return _OPEN.is_in(text) or is_vague(text)


def is_supposed(subject: str) -> bool:
    """Whether what a sentence says of its subject, which ends at the verb, is asked, supposed or denied."""
    return _SUPPOSED.is_in(subject) and _SUPPOSED.is_in(_CLAUSE.split(subject)[-1])
