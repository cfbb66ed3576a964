"""What follows an answer and gives none: courtesies, notes on what is rejected, checks of the answer, and its reason.

Invariant: a closing is left out only if nothing in it turns the answer over: no denial, doubt, question, correction or
conclusion, and no other value for the subject that the answer is about. Every search is linear in the text.
"""

import re
from collections.abc import Callable

from workers.verifiers.answers import retractions
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.scan import WordGuard
from workers.verifiers.answers.sentences import COPULAS, sentences

_COURTESY = re.compile(
    r"[\s*_>(-]*(?:let\s+me\s+know|i\s+hope\s+(?:this|that|it)|(?:please\s+)?feel\s+free|if\s+you\s+(?:have|need|want|would)"
    r"|would\s+you\s+like|is\s+there\s+anything|do\s+you\s+(?:have|want|need)"
    r"|note\b.{0,80}\b(?:extraneous|rejected?|discard(?:ed)?|invalid|ignored)\b)",
    re.IGNORECASE,
)
_COURTESY_WORDS = WordGuard(["let", "hope", "feel", "if", "would", "anything", "do", "note"])
_TURN = re.compile(
    r"\b(?:not|but|however|so|wrong|therefore|thus|hence|instead|actually|correction|wait|answer|conclude|solution|result"
    r"|final(?:ly)?|total|altogether|overall)\b|n't\b|\?|≠|!=|\\neq?\b|\bno\s*[,:.!]",
    re.IGNORECASE,
)
"""What a closing does not hold."""
_CONFIRMED = re.compile(
    r"(?:\b(?:so|thus|hence|therefore|and)\s+)?(?:(?:it|this|that|which|everything|all|the\s+(?:answer|solution|result|value))\s+)?"
    r"(?:(?:is|are|it's|that's)\s+(?:indeed\s+)?(?:right|correct|valid|true|verified|confirmed|consistent)|checks\s+out|(?:works|holds|matches|agrees)"
    r"(?:\s+(?:out|up))?)\b",
    re.IGNORECASE,
)
"""The outcome of a check, which turns nothing over."""
_FAILS = re.compile(
    r"\b(?:fails?|contradict\w*|impossible|inconsistent|(?:does\s+not|doesn't|do\s+not|don't)\s+(?:work|hold|match|agree|check|satisfy|add\s+up))\b"
    r"|≠|!=|\\neq?\b",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(r"\b(?:so|thus|therefore|hence|answer|no|actually|instead|correction)\b", re.IGNORECASE)
_CHECK = re.compile(
    r"(?:(?<=[.!?])\s|[;,:](?=\s)|\n|\(|\s[—–-](?=\s))[\s*_>#(]{0,6}"
    r"(?:(?:and|as|which|that|this|it|one|we|i|you|to|can|could|may|let|us|let's|me|now|here|just|a|an|the|my|our|by|for|in|is|be"
    r"|quick|quickly|easily|final|also)\s+){0,6}"
    r"(?:(?:sanity|double|cross|quick)[\s-]+)?(?:check(?:s|ed|ing)?|verif(?:y|ies|ied|ication|ying)|confirm(?:s|ed|ing|ation)?|indeed"
    r"|(?:plug|substitut)\w*\s+(?:[\w$=]+\s+){0,4}(?:back|in|into))\b",
    re.IGNORECASE,
)
"""The beginning of a clause that checks what is before it."""
_ASSIGNS = re.compile(r"(?:\b(?:that|gives?|yields?|get)\s|[:,;(]\s)\s*\$?([A-Za-z])\s*=(?!=)")
"""A letter to which a clause gives a value; a check gives none to a new one."""
_SUBJECT_LEAD = re.compile(r"\A(?:(?:so|thus|hence|therefore|then|and)\b[\s,]*)*[$(]*", re.IGNORECASE)
_REASON = re.compile(r",?\s+(?:because|since)\s", re.IGNORECASE)
_CLOSING_WORDS = WordGuard(["check", "verif", "confirm", "indeed", "plug", "substitut", "because", "since"])
_CHECKS = 5
"""The last ones that are looked at; each costs a search of what follows it."""


def without_courtesies(text: str) -> str:
    """A text up to the courtesies and notes on what is rejected, sentence by sentence."""
    if not _COURTESY_WORDS.are_in(text):
        return text
    spans = sentences(text)
    all_of_it = len(spans)
    while len(spans) > 1:
        start, end = spans[-1]
        if _COURTESY.match(text, start, end) is None or _TURN.search(text, start, end):
            break
        spans.pop()
    return text if len(spans) == all_of_it else text[: spans[-1][1]]


def without_check(text: str, literal: Callable[[str], bool]) -> str:
    """A text up to the check of its answer, or up to the reason in its last sentence.

    `literal` says whether a text is a possible answer letter by letter.

    Raises NoAnswerError if the check fails.
    """
    if not _CLOSING_WORDS.are_in(text) or literal(text.strip(" .\n")):
        return text
    for found in list(_CHECK.finditer(text))[-_CHECKS:]:
        head, tail = text[: found.start()], text[found.start() :]
        if not head.strip():
            continue
        if _FAILS.search(tail) and not _CONCLUDES.search(tail):
            raise NoAnswerError("the answer fails its check")
        if _closes(head, tail):
            return head
    return _without_reason(text)


def ends_sentence(text: str, end: int) -> bool:
    """Whether a sentence ends where a text is cut, so that what follows is a sentence of its own."""
    return text[end : end + 1] == "\n" or text[:end].rstrip().endswith((".", "!", "?"))


def _without_reason(text: str) -> str:
    """A text whose last sentence gives something, up to `because` or `since` in it."""
    start, end = next(reversed(sentences(text)), (0, 0))
    found = _REASON.search(text, start, end)
    if found is None or COPULAS.search(text, start, found.start()) is None:
        return text
    return text[: found.start()] if _closes(text[: found.start()], text[found.start() :]) else text


def _closes(head: str, tail: str) -> bool:
    """Whether the tail turns nothing over that the head gives."""
    plain = _CONFIRMED.sub(" ", tail)
    if _TURN.search(plain) or retractions.is_disowned(plain) or retractions.is_vague(plain):
        return False
    return not _gives_another(head, tail) and all(
        re.search(rf"(?<![\w+*/^-]){found[1]}\s*=", head) for found in _ASSIGNS.finditer(tail)
    )


def _gives_another(head: str, tail: str) -> bool:
    """Whether the tail gives another value for the subject of the head's last sentence."""
    start, end = next(reversed(sentences(head)), (0, 0))
    sentence = head[start:end]
    copula = next(reversed(list(COPULAS.finditer(sentence))), None)
    if copula is None:
        return False
    subject = re.escape(_SUBJECT_LEAD.sub("", sentence[: copula.start()].strip(" $(*")))
    value = sentence[copula.end() :].strip(" .$*")
    again = re.compile(rf"(?<![\w+*/^-])(?<![+*/^-]\s){subject}[\s$]*(?:=|:|\bis\b|\bequals\b)[\s$]*", re.IGNORECASE)
    return subject != "" and any(not tail.startswith(value, found.end()) for found in again.finditer(tail))
