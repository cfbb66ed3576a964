r"""Wordings of a choice that other answers do not have: `I choose B`, `B is correct`, lines that begin with a label.

Invariant: what is negated, asked, supposed or said about others is not a commitment. Rank 2 counts like a statement of
the answer, 1 is a remark (`B is correct`, `so B`), 0 is a line that begins with a label, as in a list of the choices.
"""

import re
from collections.abc import Iterator

from workers.verifiers.answers.grammar import Remark
from workers.verifiers.answers.markup import NoAnswerError
from workers.verifiers.answers.sentences import sentence_before
from workers.verifiers.choice.labels import Label, Labels

_VOID = re.compile(
    r"\b(?:if|suppose|supposing|assuming|whether|some|many|people|students?|others|one\s+might|you\s+might|don't|do\s+not"
    r"|doesn't|does\s+not|can't|cannot|never|nobody|wrong\s+to|why)\b(?:(?!\b(?:so|thus|hence|therefore)\b)[^,;])*$",
    re.IGNORECASE,
)
_VERB = (
    r"(?:\bi(?:'d|'ll|\s+would|\s+will|\s+have\s+to|\s+must|\s+shall|'m\s+going\s+to)?\s+"
    r"(?:choose|chose|pick|select|go\s+with|say|opt\s+for|settle\s+on|vote\s+for|conclude(?:\s+that)?)"
    r"|\b(?:i'm\s+)?going\s+with|\bwent\s+with|\bi\s+am\s+going\s+with|\blet's\s+(?:go\s+with|pick|choose)"
    r"|\bmy[ \t]+(?:final[ \t]+)?(?:choice|pick|selection)[ \t]*(?::|is\b)"
    r"|\b(?:correct|right|best|final|chosen|selected)[ \t]+(?:option|choice|one|letter|statement|answer|selection)?"
    r"[ \t]*(?::|=|is\b|would\s+be\b|must\s+be\b)|^(?:correct|right)[ \t]*:"
    r"|^(?:final[ \t]+)?(?:option|choice|selection)[ \t]*[:=]|\b(?:option|choice|selection)\s+is\b"
    r"|\banswer\s+(?=\W?[A-Z]\b)|\bchoose(?:\s+option)?|\bselect|(?:^|[,，。:：\s])(?:因此|所以|故|应|应该)?[选選](?:择|擇)?)"
)
_REMARK = (
    r"(?:\bi\s+(?:think|believe)(?:\s+that)?(?:\s+(?:it\s+is|it's|it\s+must\s+be))?"
    r"|\b(?:it's|it\s+is|it\s+must\s+be|it\s+has\s+to\s+be|that's|that\s+is|this\s+is|must\s+be|definitely|certainly|clearly)"
    r"|\b(?:so|therefore|thus|hence|then)\b,?(?:\s+(?:it's|it\s+is))?|∴"
    r"|^(?:so|therefore|thus|hence)\b[^.\n]{0,80}?\bis)"
)
_RIGHT = (
    r"(?:\s+(?:is|must\s+be|has\s+to\s+be|would\s+be)\s+(?:\w+\s+){0,3}?(?:correct|right|true|best|answer)\b"
    r"|\s+it\s+is(?=\s*[.!]?\s*$))"
)
_MATCHED = r"\b(?:corresponds\s+to|matches(?:\s+with)?|agrees\s+with|is)\s+(?:the\s+)?(?:option|choice|answer)\s+"
_PLAIN = r"(?=\s*(?:$|\n|[.,;:!?)(—–。，；]|-\s|because\b|since\b|as\b|due\b|and\b|or\b|is\b|/|&))"
_FILLER = (
    r"[ \t]*:?[ \t]*(?:(?<=:)\s{0,4})?(?:(?<=:[ \t])\s{0,4})?(?:(?:option|choice|the|answer|letter|is)[ \t]+){0,3}"
)
_LABELLED_LINE = re.compile(r"\A\W{0,4}[A-Z0-9][.):]")
_NEGATED = re.compile(r"\b(?:not|never|no)\b")
_JOINED = re.compile(r"\b(?:or|nor|and|neither|not|why|is)\W*$")
_BULLET = re.compile(r"^\s*(?:[-*•>]|#{1,6})\s+")
_SENTENCES = re.compile(r"(?<=\w\w[.!?])\s+")
_LONGEST = 1000
"""Characters that are read per remark."""


def remarks(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    yield from _find_stated(text, labels)
    yield from _find_called_right(text, labels)
    yield from _find_matched(text, labels)
    yield from _find_corrections(text, labels)
    yield from _find_lines(text, labels)


def _find_stated(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    """Finds sentences such as `I choose B` (rank 2) and `I think it is B` (rank 1)."""
    for rank, lead in ((2, _VERB), (1, _REMARK)):
        pattern = re.compile(rf"{lead}{_FILLER}(?={labels.wrapped}{_PLAIN})", re.IGNORECASE | re.MULTILINE)
        for match in pattern.finditer(text):
            if "\n" in match.group() and _LABELLED_LINE.search(_line_below(text, match.end())):
                continue  # the label begins the list of the choices
            if _VOID.search(sentence_before(text, match.start()) + match.group()):
                continue
            one = _read(
                text[match.end() : match.end() + _LONGEST].split("\n", 1)[0], labels, match.start(), match.end(), rank
            )
            if one is not None and not (rank == 1 and len(one.value.name) == 1 and _is_lower_case(text, one)):
                yield one


def _line_below(text: str, position: int) -> str:
    """The first line with content below the one that holds `position`."""
    return text[position : position + _LONGEST].partition("\n")[2].lstrip().partition("\n")[0]


def _is_lower_case(text: str, one: Remark[Label]) -> bool:
    return text[max(0, one.end - 1) : one.end].islower()


def _find_called_right(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    """Finds sentences such as `B is correct`."""
    for match in re.finditer(rf"{labels.wrapped}{_RIGHT}", text):
        before = sentence_before(text, match.start())
        if _NEGATED.search(match.group()) or _JOINED.search(before) or _VOID.search(before):
            continue
        label = match["label"]
        yield Remark(Label(labels.name_of(label) or label), match.start(), match.end(), 1)


def _find_matched(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    """Finds `which corresponds to option B` at the end of the text."""
    match = re.search(rf"{_MATCHED}{labels.wrapped}\W{{0,4}}\Z", text)
    if match and not _VOID.search(sentence_before(text, match.start()) + match.group()):
        label = match["label"]
        yield Remark(Label(labels.name_of(label) or label), match.start(), match.end(), 1)


def _find_corrections(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    """Finds corrections such as `A, no B`; other corrections are read the same way for all verifiers."""
    for match in re.finditer(r"[,.…]\s?no\s+", text, re.IGNORECASE):
        rest = text[match.end() : match.end() + _LONGEST].split("\n", 1)[0]
        one = _read(rest, labels, match.start(), match.end(), 2) if labels.is_bare(rest) else None
        if one is not None:
            yield one


def _find_lines(text: str, labels: Labels) -> Iterator[Remark[Label]]:
    """Finds lines that begin with a label. If the text ends with a bare label, every line that is a bare label is a
    statement.
    """
    position = 0
    lines = text.split("\n")
    bare_end = labels.is_bare(_final_sentence(lines[-1], labels))
    for number, line in enumerate(lines):
        own = _BULLET.sub("", line)
        content = _final_sentence(own, labels) if number == len(lines) - 1 else own
        if content.strip():
            rank = 2 if bare_end and labels.is_bare(content) else 0
            start = position + len(line) - len(content)
            one = _read(content, labels, start, start, rank)
            if one is not None:
                yield one
        position += len(line) + 1


def _final_sentence(line: str, labels: Labels) -> str:
    """The line, or its last sentence if that is a bare label, as in `Let me see. B`."""
    final = _SENTENCES.split(line)[-1]
    return final if labels.is_bare(final) else line


def _read(text: str, labels: Labels, start: int, inside: int, rank: int) -> Remark[Label] | None:
    try:
        label = labels.read(text)
    except NoAnswerError as error:
        return Remark(Label(""), start, inside + len(text), rank, doubt=str(error))
    return None if label is None else Remark(label, start, inside + label.end, rank)
