"""Finds where sentences begin and end, and which parts of one may give an answer.

Invariant: this module finds places only. Every pattern is linear in the text.
"""

import re
from collections.abc import Iterator

_ABBREVIATIONS = (
    r"Dr Mr St Mt Ms Jr Sr Ft Mrs Prof Gen Sgt Col Lt Capt Rev Gov Sen No vs Inc Ltd Co approx eq Eq e\.g i\.e sq cu"
)
_FULL_STOP = r"(?<=[.])(?=[\s\"'”)*$]|\Z)(?<![^\w.)\]}][A-Za-z][.])(?<!\A[A-Za-z][.])" + "".join(
    rf"(?<!\b{name}[.])" for name in _ABBREVIATIONS.split()
)
SENTENCE_END = re.compile(rf"[\n.!?;。！？；](?:(?<=[\n。！？；])|(?<=[!?;])(?=[\s\"'”)]|\Z)|{_FULL_STOP})")
"""The end of a sentence; a full stop after an initial or an abbreviation is not one. The class of characters comes
first, so that a search skips what cannot match."""
_BREAK = re.compile(r"\n|[.!?;](?=\s)|[。！？；]")
"""The end of a sentence in the text before a place, in which `A.` ends a sentence about A."""
_ASIDE = re.compile(
    r",?\s+(?:(?:because|since|as|which|so|given\s+that|when|rounded|due\s+to|where|making|meaning|i\.e\.|that\s+is)\s|\(?(?:and\s+)?not\s+)"
    r"|,\s+(?:of\s+course|as|and\s+not|but|then|the|an?|who)\b|\s+(?:instead|rather\s+than)\b|\s*[—–]\s|\s+\(|(?<=[\w)}\]])\s*(?:です|である|になります|となります|입니다|이다|이에요|예요)",
    re.IGNORECASE,
)
"""The beginning of the reason, or of the contrast (`not 6`), that follows an answer."""
COPULAS = re.compile(
    r"(?:\s(?:is|are|was|were|equals|makes|gives|yields|became|totals|(?:must|would|should|will|has\s+to|have\s+to)\s+be)\b(?:\s+(?:equal\s+to|exactly|therefore|then|thus|simply|just|now))?|[:=])\s*(?=\S)",
    re.IGNORECASE,
)
CONCLUSION = re.compile(
    r"\A\s*(?:[*-]\s+)?(?:so|thus|therefore|hence|consequently|finally|altogether|overall|accordingly|in\s+(?:total|all|conclusion|summary|the\s+end)"
    r"|as\s+a\s+result|this\s+means|it\s+follows|we\s+conclude|conclusion|summary|total)\b|\s(?:is|are)\s",
    re.IGNORECASE,
)
_CIRCUMSTANCE = re.compile(
    r",?\s+(?:when|where|for|at|attained|achieved|reached|obtained|occurring)\b(?:\s+(?:when|where|for|at))?\s+[$\\(]*[A-Za-z]\w{0,3}\s*=[^,]*\Z"
)
"""The place at which a value is reached: `, attained at x = 1`."""
_MONEY = re.compile(r"\s*\\?\$\d[\d.,]*(?![^$]*\$)")
"""An amount in dollars, whose sign has no partner."""
_BOLD = re.compile(r"(?<!\*)\*\*([^*\n]{1,200})\*\*(?!\*)")
_BESIDE = re.compile(
    r"\b(?:not|or|nor|neither|either|never|except|but|if|cannot|maybe|perhaps|might|could|wrong|incorrect|false)\b"
    r"|n't\b|\?",
    re.IGNORECASE,
)
_WINDOW = 400
"""Characters of a sentence before a place that are read."""


def sentence_stretches(line: str) -> Iterator[str]:
    """The first sentence of a line, and its beginning without the reason that follows."""
    sentence = line[: sentence_end(line, 0)]
    if sentence.strip() and sentence != line:
        yield sentence.strip()
    aside = _ASIDE.search(sentence)
    if aside and sentence[: aside.start()].strip():
        yield sentence[: aside.start()].strip()


def sentence_end(text: str, start: int) -> int:
    """Returns the end of the sentence that holds `start`."""
    found = SENTENCE_END.search(text, start)
    return found.start() if found else len(text)


def sentence_before(text: str, position: int) -> str:
    """The sentence that holds `position`, up to it; with the line above if that one leads to a displayed formula."""
    window = text[max(0, position - _WINDOW) : position]
    own = _BREAK.split(window.rpartition("\n")[2])[-1]
    if not own.strip(" $\\[](){}*") and window.rstrip(" $\\[\n*").endswith((":", ",", "is", "be", "that")):
        return _BREAK.split(window.rstrip(" $\\[\n*"))[-1]
    return own


def conclusion(sentence: str) -> Iterator[str]:
    """Yields what follows each `is`, `equals` and `=` of a sentence, the last first: `So 6 times 7 is 42` gives 42."""
    for match in list(COPULAS.finditer(sentence))[-1:-4:-1]:
        clause = sentence[match.end() :]
        dollars = clause.count("$") % 2 == 0 or _MONEY.match(clause) is not None
        if clause.count(")") == clause.count("(") and dollars:
            yield clause


def without_circumstance(sentence: str) -> str:
    """A sentence up to `, attained at x = 1`, if it gives something before."""
    found = _CIRCUMSTANCE.search(sentence) if "=" in sentence else None
    return sentence[: found.start()] if found and COPULAS.search(sentence, 0, found.start()) else sentence


def bold(written: str, sentence: str) -> str | None:
    """What alone is in bold type in a sentence of the text as written; None if it is denied or has an alternative."""
    plain = sentence.replace("*", "").strip()
    if not plain or _BESIDE.search(plain):
        return None
    line = next((own for own in reversed(written.split("\n")) if plain in own.replace("*", "")), "")
    found = _BOLD.findall(line[line.replace("*", "").find(plain) :]) if line else []
    return found[0].strip(" .:") if len(found) == 1 and found[0].strip(" .:") in plain else None


def sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence that holds something, its question or exclamation mark included."""
    found, start = [], 0
    for match in SENTENCE_END.finditer(text):
        end = match.end() if match.group() in "?!？！" else match.start()
        if text[start:end].strip():
            found.append((start, end))
        start = match.end()
    if text[start:].strip():
        found.append((start, len(text)))
    return found
