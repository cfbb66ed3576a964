"""The final answers that a response commits to, as text: boxes, `#### 7`, `the answer is 7`, or the whole text.

Invariant: nothing is guessed. A text that gives several values without saying which is final has no final answer,
and neither has one that hedges, asks, denies or takes back. Every search is linear in the text.
"""

import re

from workers.verifiers.answers.final_answer import CORRECTION, NoAnswerError, Place, clean, marked, stated
from workers.verifiers.answers.numbers import read_number
from workers.verifiers.answers.phrases import (
    ASIDE,
    FILLER,
    HEDGE,
    MATHS_WORDS,
    REPLACED,
)
from workers.verifiers.answers.retractions import (
    box_denied,
    disowned,
    rejected,
    statement_denied,
    statement_end,
    taken_back,
)
from workers.verifiers.math.literals import Words, read_literal
from workers.verifiers.math.notation import OVERRIDES, characters, enclosed
from workers.verifiers.math.values import environments, values

_SENTENCE_END = re.compile(r"[.?;](?=\s)|(?<![\d)])!(?=\s)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_BOLD = re.compile(r"(?<![0-9A-Za-z)\]}])\*\*(?!\s)|(?<=\S)\*\*(?![0-9A-Za-z(\[{\\])")
_STARRED = re.compile(r"(?<![\w*\\])([*_])(-?\d[\d.,]{0,30})\1(?![\w*])")
_BARE_BOX = re.compile(r"\\boxed\s+(-?[0-9A-Za-z.]{1,40})(?![0-9A-Za-z])|\\fbox(?=\s*\{)")
_HEADING = re.compile(
    r"^(?:#{1,3}|#{5,6})(?!#)\s*(?P<answer>(?:final\s+)?answer\b\s*:?)?[ \t]*", re.IGNORECASE | re.MULTILINE
)
_WORD = re.compile(r"(?<!\\)[A-Za-z]{2,}")
_COMMAND = re.compile(r"\\(?:text|mathrm|textrm)\{[^{}]*\}|\\(?:begin|end)\{[A-Za-z]*matrix\}|\\[A-Za-z]+")
_MATRIX = re.compile(r"\\begin\{([A-Za-z]{0,8}matrix)\}(?:(?!\\begin)[\s\S]){0,2000}?\\end\{\1\}")
_FOREIGN = re.compile(r"[^\x00-\x7fΑ-ωℝ×÷·⋅≤≥≠≈∪∩∈∞∅±√°µ€£¥¢]")
_STRUCK = re.compile(r"~~[^~\n]{1,400}~~")
_TAGS = re.compile(r"</?(?:b|i|u|strong|em|p|div|span|br\s?/?)>|</s>|<\|[a-z_]{1,30}\|>", re.IGNORECASE)
_MAYBE_A_CALCULATION = ("result", "solution")
"""Anchors that a worked solution uses on its way, too."""


def final_answers(text: str, *, words: bool = False) -> list[str]:
    """Every final answer that the text gives; all of them must agree for it to be right. Raises NoAnswerError.

    `words`: the answer is in words, so a clause counts as it stands.
    """
    if any(character in text for character in OVERRIDES):
        raise NoAnswerError("the text holds characters that reorder it or strike it out")
    text = _heading_lines(_BOLD.sub("", _TAGS.sub("", clean(_STRUCK.sub("", text)))))
    text = _BARE_BOX.sub(lambda found: rf"\boxed{{{found[1]}}}" if found[1] else r"\boxed", characters(text))
    text = _MATRIX.sub(lambda found: found[0].replace("\n", " "), _STARRED.sub(r"\2", text)).strip()
    if not text:
        raise NoAnswerError("nothing stands after the reasoning")
    boxes, anchors = marked(text), _anchors(text)
    if boxes:
        found = [place.text for place in boxes if not (box_denied(place) or rejected(text, place.end))]
        clauses = [_clause(place.text) for place in anchors if not statement_denied(place)]
        found += [clause for clause in clauses if "\\boxed" not in clause and is_expression(clause)]
        if not found:
            raise NoAnswerError("the answer is denied or doubted")
    elif anchors:
        if any(statement_denied(place) or rejected(text, statement_end(place)) for place in anchors):
            raise NoAnswerError("the answer is denied or doubted")
        found = [value for place in anchors for value in _committed(_clause(place.text), words=words)]
    else:
        if disowned(text):
            raise NoAnswerError("the answer is taken back")
        return _committed(_undotted(text), words=words)
    last = max(boxes[-1].end if boxes else 0, _clause_end(anchors[-1]) if anchors else 0)
    return found + _replacements(text[last:])


def is_expression(text: str) -> bool:
    """Mathematics as a whole: no words but functions, and no second environment."""
    if "\n" in text or len(environments(text)) > 1:
        return False
    if read_number(text) is not None:
        return True
    literal = read_literal(enclosed(text))
    if literal is not None:
        return not isinstance(literal, Words)
    bare = _COMMAND.sub(" ", text)
    return bool(text) and not _FOREIGN.search(bare) and all(w.casefold() in MATHS_WORDS for w in _WORD.findall(bare))


def _heading_lines(text: str) -> str:
    """A heading `Answer` announces what follows it; of other headings only the marks go."""
    return _HEADING.sub(lambda found: "Answer: " if found["answer"] else "", text)


def _anchors(text: str) -> list[Place]:
    found = [place for place in stated(text) if not FILLER.fullmatch(place.text)]
    sure = [place for place in found if not text.startswith(_MAYBE_A_CALCULATION, place.start)]
    return sure or found if "\\boxed" not in text else sure


def _clause(text: str) -> str:
    """Up to the end of the sentence, without its mark and without the reason that follows."""
    text = text[: _first_end(text)]
    aside = ASIDE.search(text)
    text = _undotted(text[: aside.start()] if aside else text)
    exclaimed = text.removesuffix("!")
    return exclaimed if exclaimed.isdecimal() else text


def _undotted(text: str) -> str:
    """Without a full stop at its end; three dots say that digits go on."""
    text = text.strip()
    return text if text.endswith("...") else text.rstrip(".").strip()


def _first_end(text: str) -> int:
    """Of the first sentence, outside environments; a question keeps its mark."""
    position = 0
    for start, end, _ in [*environments(text), (len(text), len(text), "")]:
        found = _SENTENCE_END.search(text, position, start + 1)
        if found:
            return found.start() + (found[0] == "?")
        position = end
    return len(text)


def _clause_end(place: Place) -> int:
    return place.end - len(place.text) + _first_end(place.text)


def _committed(text: str, *, words: bool) -> list[str]:
    """Raises NoAnswerError."""
    if words:
        return [text]
    if is_expression(text):
        return [text]
    prose = " ".join(part for part in _SENTENCE.split(text) if not part.rstrip().endswith("?"))
    if HEDGE.search(prose):
        raise NoAnswerError("the answer is hedged or denied")
    found = values(prose)
    if not found:
        raise NoAnswerError("no value is given")
    return found


def _replacements(tail: str) -> list[str]:
    """Values that stand after the last answer in its place or beside it. Raises NoAnswerError."""
    if taken_back(tail, 0) or rejected(tail, 0):
        raise NoAnswerError("the answer is taken back")
    found = [value for sentence in REPLACED.finditer(tail) for value in values(sentence[0])]
    for line in tail.split("\n"):
        mark = CORRECTION.search(line)
        found += values(line[mark.end() :])[:1] if mark else []
    return found
