"""Words by which a writer corrects an answer, or adds another one to it.

Invariant: this module finds places only; whether an answer begins there is for the reader to say. Every pattern is
linear in the text, or reads a bounded window.
"""

import re

from workers.verifiers.answers.scan import Scan
from workers.verifiers.answers.sentences import sentence_end

CORRECTIONS = 20
"""The last ones that are looked at; nobody changes their mind more often."""
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


def corrections(text: str, start: int) -> list[tuple[int, int]]:
    """Returns where each of the last corrections behind `start` and its replacement begin; the last comes first."""
    found = _CORRECTED.matches(text, start)
    if not found:
        return []
    found = found[: -CORRECTIONS - 1 : -1]
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
    found = _SO.search(text, start, sentence_end(text, start))
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
