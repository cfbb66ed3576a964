r"""Every place where a response commits itself to a choice, how strongly, and whether it doubts.

Invariant: what is negated, asked, supposed or said of others is no commitment. Strength 3 is a box or an `<answer>`,
2 a statement of the answer or a last line that is a label, 1 a remark (`B is correct`, `so B`), 0 a line that begins
with a label, as lists of the choices do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from workers.verifiers.answers.final_answer import CORRECTION, HEDGE, NoAnswerError, marked, sentence_before, stated
from workers.verifiers.answers.retractions import box_denied, rejected, statement_denied, statement_end
from workers.verifiers.choice.labels import HedgedError, Labels, SeveralError

_VOID = re.compile(
    r"\b(?:if|suppose|supposing|assuming|whether|some|many|people|students?|others|one\s+might|you\s+might|don't|do\s+not"
    r"|doesn't|does\s+not|can't|cannot|never|nobody|wrong\s+to|why)\b(?:(?!\b(?:so|thus|hence|therefore)\b)[^,;])*$",
    re.IGNORECASE,
)
_DOUBT = re.compile(
    r"\b(?:not\s+(?:\w+\s)?(?:sure|certain)|unsure|uncertain|(?:just|only|merely)\s+a\s+guess|a\s+wild\s+guess"
    r"|i'm\s+guessing|could\s+be\s+wrong|alternatively|also\s+(?:plausible|possible|correct|right)|might\s+be\s+wrong|may\s+be\s+wrong|don't\s+know)\b"
    r"|\b(?:maybe|perhaps|possibly|probably)\s*[.!?)]*\s*$",
    re.IGNORECASE,
)
_VERB = (
    r"(?:\bi(?:'d|'ll|\s+would|\s+will|\s+have\s+to|\s+must|\s+shall|'m\s+going\s+to)?\s+"
    r"(?:choose|chose|pick|select|go\s+with|say|opt\s+for|settle\s+on|vote\s+for|conclude(?:\s+that)?)"
    r"|\b(?:i'm\s+)?going\s+with|\bwent\s+with|\bi\s+am\s+going\s+with|\blet's\s+(?:go\s+with|pick|choose)|\bmy\s+(?:final\s+)?(?:choice|pick|answer|selection)\s+is"
    r"|\b(?:correct|right|best|final|chosen|selected)\s+(?:option|choice|one|letter|statement|answer|selection)?"
    r"\s*(?::|=|is\b|would\s+be\b|must\s+be\b)"
    r"|\b(?:final\s+)?(?:option|choice|selection)\s*(?::|=|\bis\b)|\banswer\s+(?=\W?[A-Z]\b)|\bchoose(?:\s+option)?|\bselect)"
)
_REMARK = (
    r"(?:\bi\s+(?:think|believe)(?:\s+that)?(?:\s+(?:it\s+is|it's|it\s+must\s+be))?"
    r"|\b(?:it's|it\s+is|it\s+must\s+be|it\s+has\s+to\s+be|that's|that\s+is|this\s+is|must\s+be|definitely|certainly|clearly)"
    r"|\b(?:so|therefore|thus|hence|then)\b,?(?:\s+(?:it's|it\s+is))?|∴)"
)
_RIGHT = (
    r"(?:\s+(?:is|must\s+be|has\s+to\s+be|would\s+be)\s+(?:\w+\s+){0,3}?(?:correct|right|true|best|answer)\b"
    r"|\s+it\s+is(?=\s*[.!]?\s*$))"
)
_PLAIN = r"(?=\s*(?:$|\n|[.,;:!?)(—–]|-\s|because\b|since\b|as\b|due\b|and\b|or\b|is\b|/|&))"
_FILLER = r"\s*:?\s*(?:(?:option|choice|the|answer|letter|is)\s+){0,3}"
_NEGATED = re.compile(r"\b(?:not|never|no)\b")
_JOINED = re.compile(r"\b(?:or|nor|and|neither|not|why|is)\W*$")
_MARK = re.compile(r"\\f?boxed|</?answer>|[$\s]*$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•>]|#{1,6})\s+")
_SENTENCES = re.compile(r"(?<=\w\w[.!?])\s+")
_TAIL = 200
"""Characters after a commitment in which doubt about it is looked for."""

_LONGEST = 1000
"""Characters of one statement that are read."""


@dataclass(frozen=True, slots=True)
class Commitment:
    label: str
    strength: int
    position: int
    doubt: SeveralError | HedgedError | None = None


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a committed text stands: its sentence up to it, and what follows it."""

    strength: int
    position: int
    before: str = ""
    after: str = ""
    rejected: bool = False
    """It is asked, or called wrong, right behind it."""


def commitments(text: str, labels: Labels) -> list[Commitment]:
    """In the text's order. Raises NoAnswerError where a box or an `<answer>` holds no label."""
    found = [*_marked(text, labels), *_stated(text, labels), *_said(text, labels)]
    found += [*_called_right(text, labels), *_corrected(text, labels), *_lines(text, labels)]
    return sorted(found, key=lambda one: one.position)


def _marked(text: str, labels: Labels) -> Iterator[Commitment]:
    """Raises NoAnswerError."""
    for place in marked(text):
        if box_denied(place):
            continue
        after = text[place.end : place.end + _TAIL]
        one = _read(place.text, labels, _Site(3, place.start, place.before, after, rejected(text, place.end)))
        if one is None:
            raise NoAnswerError(f"{place.text[:80]!r} is no choice")
        yield one


def _stated(text: str, labels: Labels) -> Iterator[Commitment]:
    for place in stated(text):
        text_here = _MARK.split(place.text)[0]
        if _VOID.search(place.before) or statement_denied(place) or not text_here:
            continue
        instead = _instead(text_here, labels)
        after = _after(text, place.end, place.text)
        site = _Site(2, place.start, place.before, after, rejected(text, statement_end(place)))
        one = _read(instead or text_here, labels, site)
        if one is not None:
            yield one


def _said(text: str, labels: Labels) -> Iterator[Commitment]:
    """Such as `I choose B`."""
    for strength, lead in ((2, _VERB), (1, _REMARK)):
        for match in re.finditer(rf"{lead}{_FILLER}(?={labels.wrapped}{_PLAIN})", text, re.IGNORECASE):
            before = sentence_before(text, match.start())
            if _VOID.search(before + match.group()):
                continue
            rest = _line(text, match.end())
            one = _read(rest, labels, _Site(strength, match.start(), before, rest[1:]))
            if one is not None and not (strength == 1 and len(one.label) == 1 and one.label.islower()):
                yield one


def _called_right(text: str, labels: Labels) -> Iterator[Commitment]:
    """Such as `B is correct`."""
    for match in re.finditer(rf"{labels.wrapped}{_RIGHT}", text):
        before = sentence_before(text, match.start())
        if _NEGATED.search(match.group()) or _JOINED.search(before) or _VOID.search(before):
            continue
        doubt = HedgedError("the answer is hedged") if HEDGE.search(_clause(before)) else None
        yield Commitment(match["label"], 1, match.start(), doubt)


def _corrected(text: str, labels: Labels) -> Iterator[Commitment]:
    """What a correction within a line puts in the place of what it takes back: `A... no, B`."""
    for match in re.finditer(rf"{CORRECTION.pattern}|\bno\s+", text, re.IGNORECASE):
        rest = _line(text, match.end())
        if match.start() and labels.is_bare(rest):
            one = _read(rest, labels, _Site(2, match.start(), after=text[match.end() + len(rest) :][:_TAIL]))
            if one is not None:
                yield one


def _lines(text: str, labels: Labels) -> Iterator[Commitment]:
    """Lines that begin with a label; a bare label at the very end is a statement, and so is any beside it."""
    position = 0
    lines = text.split("\n")
    bare_end = labels.is_bare(_final_sentence(lines[-1], labels))
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        content = _final_sentence(_BULLET.sub("", line), labels) if last else _BULLET.sub("", line)
        if content.strip() and not HEDGE.match(content.strip()):
            strength = 2 if bare_end and labels.is_bare(content) else 0
            after = "" if last else lines[number + 1]
            one = _read(content, labels, _Site(strength, position + len(line) - len(content), after=after))
            if one is not None:
                yield one
        position += len(line) + 1


def _final_sentence(line: str, labels: Labels) -> str:
    """The line, or its last sentence where that is a bare label, as in `Let me see. B`."""
    final = _SENTENCES.split(line)[-1]
    return final if labels.is_bare(final) else line


def _read(text: str, labels: Labels, site: _Site) -> Commitment | None:
    try:
        label = labels.read(text)
    except (SeveralError, HedgedError) as error:
        return Commitment("", site.strength, site.position, error)
    if label is None:
        return None
    doubtful = HEDGE.search(_clause(site.before)) or _DOUBT.search(text[:_TAIL]) or _DOUBT.search(site.after[:_TAIL])
    doubt = HedgedError("the answer is hedged") if doubtful or site.rejected else None
    return Commitment(label, site.strength, site.position, doubt)


def _instead(text: str, labels: Labels) -> str | None:
    """What stands after `not A but`."""
    negated = labels.negated.match(text)
    if negated is None:
        return None
    turn = re.match(
        r"\W*(?:but|rather|it's|it\s+is|instead)\s*,?\s*(?:rather\s+)?", text[negated.end() :], re.IGNORECASE
    )
    return text[negated.end() + turn.end() :] if turn else None


def _line(text: str, start: int) -> str:
    return text[start : start + _LONGEST].split("\n", 1)[0]


def _clause(before: str) -> str:
    """What stands after the last comma, or all where doubt opens the sentence."""
    return before if HEDGE.match(before.strip()) else re.split(r"[,;:]", before)[-1]


def _after(text: str, end: int, own: str) -> str:
    """The place's own text after its label, and what follows it."""
    return f"{own[1:]} {text[end : end + _TAIL]}"
