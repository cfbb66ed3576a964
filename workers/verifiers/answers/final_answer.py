r"""Where a prose answer commits itself: `\boxed{...}` and `<answer>`, clauses such as `the answer is ...`, corrections.

Invariant: only places are found here; what stands in them is each verifier's to judge. A place whose end is missing is
an error, since its content is then unknown. Every pattern is linear in the text.
"""

import re
from dataclasses import dataclass
from itertools import zip_longest

MAX_TEXT = 100_000
"""Characters after the reasoning; a longer text is no answer to a short question, and is not searched."""
MAX_MARKS = 100
"""Boxes in one answer; whoever writes more is not answering."""

_ANSWER_TAG = re.compile(r"<(?P<close>/?)answer>", re.IGNORECASE)
ANCHOR = re.compile(
    r"(?:####"
    r"|\b(?:answer|result|solution|réponse|respuesta|resposta|risposta|antwort|ответ)\b"
    r"[\"']?(?:\s*(?:to|of|for)\b[^.:=\n]{0,60}?|\s*,[^,.:=\n]{0,30},)?"
    r"\s*(?::|=|\b(?:is|are|was|would\s+be|will\s+be|must\s+be|should\s+be|est|es|ist|é|è)\b|\u2192|->)"
    r"|(?:答案|答え|정답)\s*(?::|是|为|為|は|은)?)"
    r"\s*:?\s*",
    re.IGNORECASE,
)
"""What announces an answer in prose."""
_EMPHASIS = re.compile(
    r"(?<!\w)(?P<mark>\*\*\*|\*\*|__)(?=\S)(?P<strong>[^\n]{1,400}?)(?P=mark)(?!\w)"
    r"|(?<![\w*])\*(?P<star>[A-Za-z(][^*\n]{0,400})\*(?![\w*])"
    r"|(?<!\w)_(?P<line>[A-Za-z(][^_\n]{0,400})_(?!\w)"
    r"|`+"
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_BLANK = re.compile(r"\s{4,}")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|bf|rm|operatorname)\s*\{([^{}]*)\}")
_SENTENCE_END = re.compile(r"\n|[.!?;](?=\s)")
_BRACES = re.compile(r"\\f?boxed\s{0,3}\{|[{}]")
HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|presumably|(?<!most\s)likely|might|may\s+be|could\s+be|either|unsure|uncertain"
    r"|guess(?:ing)?|suppose|suspect|can't\s+be\s+sure|cannot\s+be\s+sure|don't\s+know|do\s+not\s+know|no\s+idea"
    r"|(?<!was\s)not\s+(?:\w+\s)?(?:sure|certain))\b",
    re.IGNORECASE,
)
"""Words that take a commitment back."""
CORRECTION = re.compile(
    r"\b(?:no|nope)\b\s*[,:;.!\u2014\u2013-]+\s*|\bno\s+wait\b[,.!:\s]*"
    r"|(?<!must )(?<!to )\bwait\b\s*[,.!:\u2014\u2013-]+\s*"
    r"|\b(?:actually|correction|scratch\s+that|on\s+second\s+thoughts?|i\s+mean|let\s+me\s+correct|sorry)\b[,.!:]*\s*",
    re.IGNORECASE,
)
"""Words by which a writer takes back what stands before them."""


class NoAnswerError(ValueError):
    """The text commits to no final answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """`text` is what is committed to; `before` is its sentence up to there."""

    text: str
    before: str
    start: int
    end: int


def clean(text: str) -> str:
    """Without emphasis, invisible characters and long blanks, apostrophes straight.

    Raises NoAnswerError where it is too long.
    """
    if len(text) > MAX_TEXT:
        raise NoAnswerError(f"{len(text)} characters are more than {MAX_TEXT}")
    text = _BLANK.sub(lambda run: "\n\n" if "\n" in run.group() else "  ", text)
    return _EMPHASIS.sub(_plain, _INVISIBLE.sub("", text)).replace("’", "'").strip()


def _plain(match: re.Match[str]) -> str:
    return match["strong"] or match["star"] or match["line"] or ""


def unwrapped(text: str) -> str:
    r"""Without dollar signs around all of it, `\(...\)` and `\text{...}`."""
    text = text.strip()
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if len(text) > len(left + right) and text.startswith(left) and text.endswith(right):
            inner = text[len(left) : -len(right)]
            text = inner.strip() if left not in inner else text
    return _LATEX_TEXT.sub(r"\1", text).strip()


def marked(text: str) -> list[Place]:
    r"""Contents of each `\boxed{...}` and `<answer>...</answer>`, in order; a box within a tag stands for it.

    Raises NoAnswerError where one is empty or does not close, or where there are too many.
    """
    boxes = _boxes(text)
    if len(boxes) > MAX_MARKS:
        raise NoAnswerError(f"{len(boxes)} boxes are more than {MAX_MARKS}")
    tags = [tag for tag in _tags(text) if not any(tag.start <= box.start and box.end <= tag.end for box in boxes)]
    return sorted([*boxes, *tags], key=lambda place: place.start)


def stated(text: str) -> list[Place]:
    """The rest of the line after each `the answer is`, `Answer:`, `####`; the verifier finds the clause's own end."""
    found = []
    matches = list(ANCHOR.finditer(text))
    for match, following in zip_longest(matches, matches[1:]):
        newline = text.find("\n", match.end())
        end = min(len(text) if newline < 0 else newline, following.start() if following else len(text))
        if text[match.end() : end].strip() == "" and following is None and newline >= 0:
            end = _next_line_end(text, newline)
        own = text[match.end() : end].rstrip()
        before = sentence_before(text, match.start())
        found.append(Place(own.lstrip(), before, match.start(), match.end() + len(own)))
    return [place for place in found if place.text]


def sentence_before(text: str, position: int) -> str:
    """The sentence that holds `position`, up to it; no longer than 400 characters."""
    window = text[max(0, position - 400) : position]
    return _SENTENCE_END.split(window)[-1]


def _next_line_end(text: str, newline: int) -> int:
    """`Answer:` alone on its line speaks of the next line that holds something."""
    start = newline
    while start < len(text) and text[start].isspace():
        start += 1
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _boxes(text: str) -> list[Place]:
    """Outermost ones. Raises NoAnswerError."""
    found: list[Place] = []
    depth = start = inside = 0
    for match in _BRACES.finditer(text):
        if depth:
            depth += -1 if match.group() == "}" else 1
            if not depth:
                content = text[inside : match.start()].strip()
                found.append(Place(content, sentence_before(text, start), start, match.end()))
        elif match.group().startswith("\\"):
            depth, start, inside = 1, match.start(), match.end()
    if depth:
        raise NoAnswerError("a \\boxed{ does not close")
    if any(not place.text for place in found):
        raise NoAnswerError("a \\boxed{} is empty")
    return found


def _tags(text: str) -> list[Place]:
    """Raises NoAnswerError where a tag is not closed or holds nothing."""
    found: list[Place] = []
    opened: re.Match[str] | None = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag["close"]:
            opened = tag
        elif opened is not None:
            found.append(Place(text[opened.end() : tag.start()].strip(), "", opened.start(), tag.end()))
            opened = None
    if opened is not None:
        raise NoAnswerError("an <answer> does not close")
    if any(not place.text for place in found):
        raise NoAnswerError("an <answer> is empty")
    return found
