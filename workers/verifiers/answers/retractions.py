"""Whether a writer commits to an answer: wordings around it that deny, suppose, doubt, ask, correct or take it back.

Invariant: these wordings can only remove an answer, never make it right. Doubt about something else (in the working,
or in the explanation that follows) does not count. Every pattern is linear in the text, or reads a bounded window.
"""

import re

from workers.verifiers.answers.scan import Keyed, Scan, WordGuard
from workers.verifiers.answers.statements import ANCHORS, SENTENCE_END

CORRECTIONS = 20
"""The last ones that are looked at; nobody changes their mind more often."""
_REACH = 80
"""Characters before a place in which a denial of it begins."""
_BEHIND = 200
"""Characters behind a place in which doubt about it is looked for."""
_CUT_OFF_REACH = 20
"""Characters at the end of a text in which its last word begins."""
_SHORTEST = 4
"""Characters behind a place that can say nothing of it, such as a full stop and a closing bracket."""

_DOUBT = (
    r"maybe|perhaps(?!\s+surprisingly)|possibly|probably|presumably|might|could|either(?!\s+(?:way|case))|neither|unless|unsure|uncertain|whether"
    r"|(?<!no )(?<!any )(?<!little )(?<!without )(?<!beyond )doubt|suppose|assume|guess"
)
"""Words, as alternatives of a pattern."""
_NOT_SURE = (
    r"\b(?:i'm|i\s+am|am|but|though|although|still|and)\s+(?:\w+\s+)?(?:not|n't)\s+(?:\w+\s)?(?:sure|certain|confident)\b"
    r"|^\W*not\s+(?:\w+\s)?(?:sure|certain)\b|(?<!was\s)(?<!were\s)\bunsure\b|\b(?:i'm|i\s+am|am)\s+(?:\w+\s+)?uncertain\b"
    r"|\bi\s+(?:can't|cannot|can\s+not)\s+be\s+(?:\w+\s)?(?:sure|certain)\b|\bi\s+(?:really\s+)?(?:don't|do\s+not)\s+(?:really\s+)?know\b"
    r"|\b(?:i\s+have\s+)?no\s+idea\b"
)
"""The writer's doubt in the first person, anywhere in a sentence."""
_NOT_SURE_WORDS = ("not", "n't", "unsure", "uncertain", "idea")
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
        *(*_NOT_SURE_WORDS, "maybe", "perhaps", "possibly", "probabl", "presumably", "likely", "might", "may", "could"),
        *("either", "guess", "suppose", "suspect", "vielleicht", "vermutlich", "wahrscheinlich", "peut-", "quiz"),
        *("tal", "talvez", "provavelmente", "forse", "возможно", "вероятно", "наверное", "可能", "也许", "大概"),
        *("おそらく", "たぶん", "아마"),
    ]
)
"""Each match of `_HEDGE` and `_OWN_DOUBT` holds one of them."""
_OWN_DOUBT = Keyed(_NOT_SURE, _NOT_SURE_WORDS)
_SHORT_DOUBT = Keyed(
    r"(?:\A|[\n.!?])\W*(?:(?:i'm|i\s+am)\s+)?(?:not\s+(?:\w+\s)?(?:sure|certain)|unsure)[.!]\s*\Z", ("sure", "certain")
)
"""A whole sentence of doubt, right before the sentence of an answer."""
_UNFINISHED = Keyed(
    r"\bbut\s+(?:wait\b|let\s+me\b|let's\b|first\b|(?:i|we)\s+(?:still\s+)?(?:should|need\s+to|must|have\s+to)\b)",
    ["but"],
)
"""More work that a plain sentence announces."""
_CLAUSE = re.compile(
    r"[,;:]|\s[—–-]\s|\b(?:but|so|hence|thus|therefore|then|because|since|however|and\s+so|which\s+means|meaning)\b",
    re.IGNORECASE,
)
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
    *("uncertain", "whether", "doubt", "suppose", "assume", "guess", "no", "n't", "never", "не"),
)
_STATEMENT_DENIED_WORDS = WordGuard(
    [
        *(*_DOUBT_WORDS, "false", "wrong", "incorrect", "untrue", "if", "unlikely", "pretend", "imagine", "tempting"),
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
        *(*_DOUBT_WORDS, "far", "like", "rather", "instead", "except", "other", "but", "nicht", "pas", "não"),
        *("would", "format"),
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
_EXCEPT = (
    r"\b(?:except(?:ing)?|other\s+than|(?:any|every|no)thing\s+but)\b|\b(?:(?:twice|thrice|double|triple)(?:\s+of)?|(?:opposite|negative|negation|reciprocal|inverse"
    r"|complement|half|third|square|cube|root)\s+of)\s*(?=[$\\({\[+-]*\s?(?:\d|(?-i:[A-Z]+\b)))"
)
"""Words that make another value of the one that follows."""
_OPEN = Keyed(
    rf"\b(?:not|never|cannot|neither|nor|far\s+from)\b|n't\b|\?|{_EXCEPT}",
    [
        *("not", "never", "neither", "nor", "far", "n't", "?", "except", "other", "thing", "twice", "thrice", "double"),
        *("triple", "opposite", "negati", "reciprocal", "inverse", "complement", "half", "third", "square", "cube"),
        "root",
    ],
)
"""Denials and questions in a plain sentence."""
_SUPPOSED = re.compile(
    r"\b(?:whether|if|cannot|never|unless|suppose|assume|assuming|doubt|nobody|no\s+one)\b|n't\b", re.IGNORECASE
)
_INSTEAD = re.compile(
    r"[\s,;:—–-]+(?:but|rather|it's|it\s+is|instead|sondern|mais|sino|mas|а)\b[\s,]*(?:rather\s+)?", re.IGNORECASE
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
    r"\b(?:scratch\s+that|i\s+was\s+wrong(?!\s+to\b)|never\s?mind(?!\s+(?:the|that|about)\b)|on\s+second\s+thoughts?"
    r"|i(?:'ve|\s+have)?\s+made\s+an?\s+(?:\w+\s+)?(?:mistake|error)|that\s+can(?:'t|not)\s+be\s+right"
    r"|(?:that|this|it)\s+(?:doesn't|does\s+not)\s+(?:look|seem|sound|feel)\s+(?:quite\s+)?right|just\s+kidding"
    r"|(?:that|this|it|which)\s+fails\s+(?:the|our|my|this)\s+check|the\s+check\s+fails|i\s+take\s+(?:it|that)\s+back|(?:ignore|disregard|forget)\s+(?:that|(?:my|this|the)\s+(?:\w+\s+)?answer|the\s+above))\b",
    [
        *("scratch", "wrong", "never", "second", "mistake", "error", "right", "kidding", "fails", "back", "ignore"),
        *("disregard", "forget"),
    ],
)
"""Wordings that take an answer back from anywhere behind it."""
_OR_IS_IT = re.compile(r"\bor\s+is\s+it\b", re.IGNORECASE)
_CALLED_WRONG = Keyed(
    rf"\b(?:that|this|which)(?:'s|\s+is|\s+was)\s+(?:\w+\s+)?{_WRONG}\b",
    ["wrong", "incorrect", "false", "not", "mistake", "error"],
)
"""Rejections that may be about another answer if they follow one."""
_DOUBTED = Keyed(
    rf"{_NOT_SURE}|\b(?:(?:just|only|merely|is|was)\s+an?|(?:wild|random|blind|pure)|my(?:\s+best)?)\s+(?:(?:wild|random|blind|pure|educated)\s+)?guess\b|\bi'm\s+(?:just\s+|only\s+)?guessing\b"
    r"|\bi\s+(?:could|may|might)\s+be\s+wrong\b|\b(?:only\s+\d{1,2}|[1-4]?\d)\s*\\?%\s+(?:confident|sure|certain)\b"
    rf"|\b(?:answer|this|that|it)(?:'s|\s+is|\s+was)\s+(?:very\s+)?(?:probably|likely|possibly|most\s+likely)\s+{_WRONG}\b"
    r"|\b(?:it|that|this|answer)\s+(?:could|may|might)\s+be\s+(?:wrong|incorrect|off)\b"
    r"|(?<!that )(?<!think )(?<!as )\b(?:it|(?:the\s+)?(?:correct\s+|right\s+|final\s+|true\s+)?answer|that)"
    r"\s+(?:could|might|may)"
    r"\s+(?:also\s+|well\s+|instead\s+|equally\s+)?be\b"
    r"(?!\s+(?:\w+ly\s+)?(?:\w+ed|seen|done|shown|written|found|made|said|that|helpful|useful|tempting|easier|simpler|noted|worth|different)\b)"
    r"|\balso\s+(?:plausible|possible|correct|right)\b|\b(?:maybe|perhaps|possibly|probably)\s*[.!?)]*\s*\Z",
    [
        *(*_NOT_SURE_WORDS, "guess", "wrong", "%", "could", "may", "might", "also"),
        *("perhaps", "probably", "possibly", "likely"),
    ],
)
"""Doubt within a short distance behind an answer."""
_CORRECTION = re.compile(
    r"(?<![\w'])(?:no|nope)\b\s*(?:[,:;.!\u2014\u2013-]+\s*|(?=\$?\\boxed|<answer))|\bno\s+wait\b[,.!:\s]*"
    r"|(?<!must )(?<!to )\b(?:wait|hold\s+on|hang\s+on)\b\s*[,.!:\u2014\u2013-]+\s*"
    r"|\b(?:actually|correction|scratch\s+that|on\s+second\s+thoughts?|i\s+me(?:an|ant)|let\s+me\s+correct(?:\s+(?:that|myself|it))?|sorry|oops|make\s+that"
    r"|made\s+an?\s+(?:\w+\s+)?(?:mistake|error)|i\s+was\s+wrong(?!\s+to\b)|or\s+rather|(?<=[.!?]\s)rather(?=,)|not\s+quite)\b[,.!:;]*\s*",
    re.IGNORECASE,
)
_CORRECTED = Scan(
    _CORRECTION,
    [
        *(
            "no",
            "wait",
            "hold on",
            "hang on",
            "actually",
            "correction",
            "scratch",
            "on second",
            "i mea",
            "oops",
            "sorry",
        ),
        *("let me correct", "make that", "made a", "i was wrong", "or rather", "rather"),
    ],
)
"""Words by which a writer takes back what comes before them."""
_CORRECTED_LEAD = re.compile(
    r"(?:(?:no|wait|sorry|oops|actually|so|it|that|this|the\s+(?:(?:correct|right|final|actual|true)\s+)?(?:answer|value|result|one))\b[,.!:]*\s*"
    r"|(?:is|'s|should\s+(?:actually\s+)?be|must\s+be|would\s+be|has\s+to\s+be|be|was)\b\s*:?\s*){0,6}",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(
    r"(?:[=+×÷^≈]|\s[-–*/<]|\\(?:times|cdot|div|approx)|\b(?:and|or|nor|plus|minus|times|equals|is|are|was|were|to|of|than|with|the|but"
    r"|not|because|since|if|gives|makes))[\s$*]*\Z",
    re.IGNORECASE,
)
"""What a text does not end with unless it was cut off."""
_SO = re.compile(
    r"(?::\s*(?=\\?[{\[])|,\s*(?:and\s+)?(?:so|thus|hence|therefore|which\s+(?:makes|gives)(?:\s+it)?|making\s+it)\b[\s,:]*)"
    r"(?:(?:it|that|this|the\s+(?:\w+\s+)?answer)\s*(?:is|'s|should\s+be|must\s+be)\b\s*:?\s*)?(?=[^=\n]*\Z)",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(
    r"(?:[\s$*)\]}.,;!\"']|\\[)\]]){0,8}\(?(?P<word>or|but\s+(?:here|actually|really|in\s+fact|in\s+reality)|alternatively|maybe|perhaps|possibly|rather|oder|ou|o|или|或|或者)\b[\s,:]*"
    r"(?P<more>(?:(?:else|maybe|perhaps|possibly|probably|also|even|is\s+it|it\s+is|it's|it\s+(?:could|might|may)\s+(?:also\s+)?be"
    r"|equivalently|simply|in\s+other\s+words|just|exactly)\b[\s,:]*){0,3})",
    re.IGNORECASE,
)
"""Words right behind an answer that introduce another one."""
_RIVAL = re.compile(
    r"(?:[\s$*)\]}.,;!\"']|\\[)\]]){0,8}\(?(?:or|oder|ou)\s+(?:maybe|perhaps|possibly|probably|(?:something|anything|someone|possibly)\s+else|even\s+more)\b",
    re.IGNORECASE,
)
_INTERJECTIONS = frozenset(
    ["yes", "yeah", "right", "correct", "indeed", "sure", "wait", "ok", "okay", "no", "so", "hmm", "what", "fine"]
)
_PAUSE = (",", ":", ";", "—", "–")
_FRESH_REACH = 12
"""Characters before a correction that tell whether a clause begins there."""
_FRESH = re.compile(r"(?:\A|[.!?;\n—–(…}]|\b(?:hmm+|no|oh|wait|sorry|oops|well|ah)[,.!]?)[\s$*)]*\Z", re.IGNORECASE)
_CLAUSE_WORD = re.compile(
    r"\b(?:is|are|was|were|be|been|being|has|have|had|do|does|did|can|could|will|would|should|must|may|might|it|its|that|this"
    r"|these|those|there|i|we|you|they|he|she|what|which|who|how|why|when|let|see|not|so|just|very|quite|really|never|nothing"
    r"|too|also|easy|hard|simple|second|moment|worries|problem|matter)\b|n't\b|[:=?]",
    re.IGNORECASE,
)
"""What a name seldom holds."""
_ROUGHLY = re.compile(r"\s*(?:approximately|about|roughly|around|nearly|almost|\$?\s*\\approx|≈|~)", re.IGNORECASE)


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
    return _IF_ONLY.search(text, start, ends_sentence(text, start)) is not None


def denying_lead(text: str) -> tuple[int, bool] | None:
    """Returns the length of the denial or doubt that the text begins with, and whether it is doubt."""
    found = _DENYING_LEAD.match(text)
    return (found.end(), found["doubt"] is not None) if found and text[found.end() :].strip(" .!?") else None


def instead(text: str, start: int) -> str | None:
    """Returns what follows `but` if `not` ends at `start`: B of `not A but B`."""
    found = _INSTEAD.search(text, start, start + _BEHIND)
    return text[found.end() :] if found else None


def is_rejected(text: str, end: int) -> bool:
    """Whether an answer that ends at `end` is asked, doubted or called wrong right behind it."""
    return _REJECTED.match(text, end) is not None


def is_taken_back(text: str, start: int) -> bool:
    """Whether what comes behind the last answer, which ends at `start`, takes it back."""
    return len(text) - start > _SHORTEST and (
        _TAKEN_BACK.is_in(text, start) or _OR_IS_IT.search(text, start) is not None
    )


def is_doubted(text: str, start: int) -> bool:
    """Whether the writer doubts the last answer, which ends at `start`, soon behind it."""
    return len(text) - start > _SHORTEST and _DOUBTED.is_in(text[start : start + _BEHIND])


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
    return _SUPPOSED.search(_CLAUSE.split(subject)[-1]) is not None


def corrections(text: str, start: int) -> list[tuple[int, int]]:
    """Returns where each of the last corrections behind `start` and its replacement begin; the last comes first."""
    found = _CORRECTED.matches(text, start)[: -CORRECTIONS - 1 : -1]
    leads = [(match, _CORRECTED_LEAD.match(text, match.end())) for match in found]
    return [(match.start(), lead.end() if lead else match.end()) for match, lead in leads]


def is_fresh(text: str, start: int, inside: int) -> bool:
    """Whether a correction, whose replacement begins at `inside`, is a clause of its own rather than a word of one."""
    return (
        text[start:inside].rstrip().endswith(_PAUSE)
        or _FRESH.search(text[max(0, start - _FRESH_REACH) : start]) is not None
    )


def is_clause(text: str) -> bool:
    """Whether a few words say something, rather than name it."""
    return _CLAUSE_WORD.search(text) is not None


def conclusion_of_correction(text: str, start: int) -> int | None:
    """Returns where the value begins in `Actually, 1 is one too, so {1, 2}`, whose replacement begins at `start`."""
    found = _SO.search(text, start, ends_sentence(text, start))
    return found.end() if found else None


def has_rival(text: str, end: int) -> bool:
    """Whether `or maybe` comes right behind an answer, which ends at `end`."""
    return _RIVAL.match(text, end) is not None


def is_interjection(text: str) -> bool:
    """Whether a word that follows a correction says nothing: `Actually, yes`."""
    return text.strip(" .!,").casefold() in _INTERJECTIONS


def alternative(text: str, end: int) -> int | None:
    """Returns where the alternative begins that `or` adds to an answer that ends at `end`; None for an estimate."""
    found = _ALTERNATIVE.match(text, end)
    return None if found is None or _ROUGHLY.match(text, found.end()) else found.end()


def ends_sentence(text: str, end: int) -> int:
    found = SENTENCE_END.search(text, end)
    return found.start() if found else len(text)
