r"""Places at which a response states its answer in prose, and the stretches of text that may be that answer.

Invariant: this module finds places only; each verifier says whether a stretch is an answer. Every pattern is
linear in the text, and the stretches of different statements do not overlap, except for a bounded number of prefixes.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from workers.verifiers.answers.marks import Mark
from workers.verifiers.answers.scan import Scan
from workers.verifiers.answers.sentences import SENTENCE_END, sentence_stretches

MAX_STATEMENTS = 200
_LATIN = (
    r"(?P<sure>answer|réponse|respuesta|resposta|risposta|antwort|antwoord|svar(?:et)?|vastaus|ответ|відповідь|odpowied[źz]"
    r"|odpověď|răspuns(?:ul)?|sagot|válasz|cevap|yanıt|jawaban(?:nya)?|jawapan|đáp\s+án|câu\s+trả\s+lời|απάντηση|उत्तर|জবাব|উত্তর)"
    r"|(?:result|solution|résultat|resultado|risultato|ergebnis|lösung|solución|solução|soluzione|результат|решение)"
)
_ADJECTIVE = (
    r"(?:\s+(?:correct[ae]?|corret(?:t?a|t?o)|finale?|richtige|juste|exacte|(?:yang\s+)?(?:benar|tepat)|akhir|đúng"
    r"|cuối\s+cùng|की|है|เป็น))?"
)
_COPULA = (
    r"(?:=>|[:：=→]|->|\b(?:is|are|was|would\s+be|will\s+be|must\s+be|should\s+be|has\s+to\s+be|turns\s+out\s+to\s+be|comes\s+(?:out\s+)?to|equals|est|es|ist|lautet"
    r"|é|è|sono|är|er|on|adalah|ialah|to|jest|je|là|είναι|это|este)\b|[—–](?=\s)|คือ)"
)
_ANCHOR = re.compile(
    rf"(?:(?P<hashes>####)|(?:\b|(?<=final_))(?:{_LATIN})(?![\w-])[\"'”*]{{0,3}}{_ADJECTIVE}"
    r"(?:(?P<of>\s*(?:to|of|for|in|à|de|auf|на)\b[^.:=\n]{0,60}?)|\s*,[^,.:=\n]{0,30},|\s*\([^()\n]{0,30}\))?"
    rf"\s*[*_]{{0,2}}\s*{_COPULA}"
    r"|(?P<cjk>答案|答え|正解|解答|正确选项|정답|답)(?:\s*(?:应该|應該|应|就))?\s*(?:[:：=]|是|为|為|は|은|는|이|选|選)?|答\s*[:：]|(?:故|因此|所以|应|應)[选選]\s*[:：]?|คำตอบ(?:ที่ถูกต้อง)?\s*(?:คือ|[:：])"
    r"|(?:الجواب|الإجابة|الاجابة|الحل)(?:\s+(?:الصحيحة|الصحيح|النهائية|النهائي))?\s*(?:[:：]|هو|هي)"
    r"|(?:التשובה|תשובה)\s*[:：])"
    r"\s*[:：,]?(?:(?<=[:：])[*_]{2})?\s*",
    re.IGNORECASE,
)
ANCHORS = Scan(
    _ANCHOR,
    [
        *(
            "####",
            "answer",
            "result",
            "solu",
            "respuesta",
            "resposta",
            "risposta",
            "antwo",
            "svar",
            "vastaus",
            "sagot",
            "cevap",
        ),
        *(
            "odpowied",
            "jawaban",
            "jawapan",
            "risultato",
            "ergebnis",
            "réponse",
            "résultat",
            "lösung",
            "odpověď",
            "răspuns",
        ),
        *(
            "válasz",
            "yanıt",
            "đáp",
            "câu",
            "ответ",
            "відповідь",
            "результат",
            "решение",
            "απάντηση",
            "उत्तर",
            "জবাব",
            "উত্তর",
            "คำตอบ",
        ),
        *(
            "答",
            "正确选项",
            "正解",
            "解答",
            "정답",
            "답",
            "故",
            "因此",
            "所以",
            "应",
            "應",
            "الجواب",
            "الإجابة",
            "الاجابة",
            "الحل",
            "תשובה",
            "התשובה",
        ),
    ],
)
"""Announcements of an answer, such as `the answer is`."""
_NO_ANNOUNCEMENT = re.compile(
    r"\b(?:each|every|possible|potential|candidate|which|any|what|given|expected|another|an|no|other|previous|your|their|his|her"
    r"|incorrect|check(?:ing)?|verify(?:ing)?|find(?:ing)?|get(?:ting)?|compute|computing|reach|obtain|calculate|to)"
    r"(?:\s+(?:the|our|my|this|that|for|a|final|correct))?\s*$",
    re.IGNORECASE,
)
"""Words before a colon that make it not an announcement: `let us check the answer:`, `each answer:`."""
_FILLER = re.compile(
    r"(?:(?:the|so|then|thus|hence|therefore|final|correct|as|follows|below|here|my|our|is|are|and|given|by|simply|indeed|also|now"
    r"|equal|to|in|inside|within|between|exactly|definitely|clearly|certainly|of\s+course)\b|[\s.,:：;*#_>$\"']|\\[\[(])*",
    re.IGNORECASE,
)
"""Words that an announcement may hold before the answer itself."""
_LEADS_ON = re.compile(r"[^\n=.]{1,60}(?:=|\\approx|≈|\b(?:is|equals))[\s$(]*", re.IGNORECASE)
"""What follows an announcement and leads to a mark: `the answer is $m + n = \\boxed{5}$`."""
_KEY = re.compile(r"\w+\"\s*:\s*")
_JSON = json.JSONDecoder()
_OPENING = re.compile(r"(?:[\s$]|\\[(\[])*\Z")
"""The beginning of a formula that encloses a mark."""
_REMARK = re.compile(
    r"\W*(?:(?:\w+ly|also|now|indeed|very|quite|therefore|thus)\s+)?(?:right|correct|wrong|incorrect|clear|obvious|simple|easy|straightforward|as\s+follows"
    r"|below|above|given|found|verified|confirmed|valid|reasonable|consistent|unique|known|between|inside|within|in\s+the|what|that)\b",
    re.IGNORECASE,
)
_BULLET = re.compile(r"[ \t]*(?:[-*•‣·+]|\(?\d{1,3}[.)])[ \t]+\S")
_BULLET_MARK = re.compile(r"\A[ \t]*(?:[-*•‣·+]|\(?\d{1,3}[.)])[ \t]+")
_ANNOUNCEMENT = 60
"""Characters within which an announcement ends that a mark begins with."""


class Statement(NamedTuple):
    text: str
    """The text between the announcement and the next one."""
    start: int
    inside: int
    """The start of `text`."""
    weak: bool
    """A worked solution uses such words on its way, too: `the result is`, `the answer to part (a) is`."""
    leads_on: bool
    """A mark follows on the same line."""


def stated(text: str, found_marks: Sequence[Mark]) -> list[Statement]:
    """In the text's order, without those that are within a mark or lead to one."""
    found: list[Statement] = []
    matches = ANCHORS.matches(text)[-MAX_STATEMENTS:]
    if not matches:
        return found
    starts = sorted([mark.start for mark in found_marks])
    ends = sorted([mark.end for mark in found_marks])
    for match, following in zip_longest(matches, matches[1:]):
        if bisect_left(starts, match.start()) > bisect_left(ends, match.end()):
            continue  # it is within a mark
        mark = starts[place] if (place := bisect_left(starts, match.end())) < len(starts) else len(text)
        end = min(following.start() if following else len(text), mark)
        inside = match.start() + len(match.group().rstrip())
        own = text[inside:end]
        if (value := _json_value(text, match.start(), inside)) is not None:
            inside, own = value
            end = inside + len(own)
        own = _OPENING.sub("", own) if end == mark < len(text) else own
        colon = match.group().rstrip(" *_\n").endswith((":", "："))
        if end < len(text) and _FILLER.fullmatch(own):
            continue  # it leads to the mark, or to the next announcement
        if end == mark < len(text) and _LEADS_ON.fullmatch(own):
            continue
        if not own.strip() or (colon and _NO_ANNOUNCEMENT.search(text[max(0, match.start() - 40) : match.start()])):
            continue
        weak = bool(match["of"]) or not (match["sure"] or match["hashes"] or match["cjk"])
        found.append(
            Statement(own, match.start(), inside, weak, end == mark < len(text) and not SENTENCE_END.search(own))
        )
    return found


def _json_value(text: str, start: int, inside: int) -> tuple[int, str] | None:
    """Returns the place and the text of the value if `"answer":` is a key of JSON; a string's text if it is plain."""
    if not text[max(0, start - 7) : start].endswith(('"', '"final_')) or not _KEY.fullmatch(text, start, inside):
        return None
    inside += len(text[inside:]) - len(text[inside:].lstrip())
    try:
        value, end = _JSON.raw_decode(text, inside)
    except (ValueError, RecursionError):
        return None
    own = text[inside:end]
    return (inside + 1, own[1:-1]) if isinstance(value, str) and value == own[1:-1] else (inside, own)


def without_announcement(text: str) -> str:
    """What a mark holds without `The answer is` at its beginning."""
    found = _ANCHOR.search(text, 0, _ANNOUNCEMENT)
    if found is None or not _FILLER.fullmatch(text[: found.start()]) or not text[found.end() :].strip():
        return text
    return text[found.end() :]


def is_remark(text: str) -> bool:
    """Whether `the answer is` says something about the answer, as `correct` does, rather than give it."""
    return _REMARK.match(text) is not None


def stretches(text: str) -> Iterator[str]:
    """Yields what may be a statement's answer, the longest first: all, its paragraph, its line, its sentence, less."""
    below = "\n" in text[: len(text) - len(text.lstrip())]
    text = text.strip()
    if below and "\n" not in text and _BULLET.match(text):
        text = _BULLET_MARK.sub("", text)
    lines = text.split("\n", 1)
    if len(lines) > 1:
        yield text
        paragraph = _paragraph(text)
        if paragraph != text:
            yield paragraph
        if _BULLET.match(text):
            return
    line = lines[0].strip()
    yield line
    yield from sentence_stretches(line)
    bare = _FILLER.sub("", line, count=1)
    if bare and bare != line:
        yield bare
        yield from sentence_stretches(bare)


def _paragraph(text: str) -> str:
    """Returns the text up to an empty line, or to the end of a list of bullets."""
    if not _BULLET.match(text):
        return text.split("\n\n", 1)[0]
    kept: list[str] = []
    for line in text.split("\n"):
        if line.strip() and not _BULLET.match(line):
            break
        kept.append(line)
    return "\n".join(kept).strip()
