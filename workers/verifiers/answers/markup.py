r"""Removes what only dresses a response: emphasis, fences, headings, HTML, invisible characters.

Invariant: words, numbers and LaTeX stay as they are, in their order; every pattern is linear in the text. A text that
is struck out goes; one that holds characters which reorder it is not an answer.
"""

import re

from workers.verifiers.answers.normalisation import INVISIBLE

MAX_TEXT = 100_000
"""Characters after the reasoning; a longer text does not answer a short question, and is not searched."""
BRACES = re.compile(r"\\f?boxed\s{0,3}\{|(?<!\\)[{}]|(?<=\\\\)[{}]")
"""The beginning of a box, and the braces that may end it; `\\{` is a sign that is shown."""

_OVERRIDES = re.compile("[\u202d\u202e\u0335\u0336\u0337\u0338\u20d2\u20d3\u20e5]")
"""Characters that reorder a text or strike it out."""
_STRUCK = re.compile(r"~~[^~\n]{1,400}~~")
_CALCULATOR = re.compile(r"<<[^<>\n]{1,200}>>")
"""The calculations of GSM8K's solutions: `5+6=<<5+6=11>>11`."""
_HTML = re.compile(r"</?(?:b|i|u|strong|em|p|div|span|br\s?/?)>|</s>|<\|[a-z_]{1,30}\|>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)[\w+-]{0,20}[ \t]*$\n?", re.MULTILINE)
_HEADING = re.compile(
    r"^[ \t]{0,3}(?:#{1,3}|#{5,6})(?!#)[ \t]*(?P<answer>(?:the\s+)?(?:final\s+)?answer\b[ \t]*[:：]?)?[ \t]*"
    r"|^(?P<alone>(?:\*\*|__)?(?:the\s+)?(?:final\s+|correct\s+)?answer(?:\*\*|__)?)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK = re.compile(r"\s{4,}")
_EMPHASIS = re.compile(
    r"(?<!\w)(?P<mark>\*\*\*|\*\*|__)(?=\S)(?P<strong>[^\n]{1,400}?)(?P=mark)(?!\w)"
    r"|(?<![\w*])\*(?P<star>[A-Za-z(][^*\n]{0,400})\*(?![\w*])"
    r"|(?<!\w)_(?P<line>[A-Za-z(][^_\n]{0,400})_(?!\w)"
    r"|(?<![\w*\\])(?P<digits>[*_])(?P<number>-?\d[\d.,]{0,30})(?P=digits)(?![\w*])"
    r"|`+"
)
_BOLD = re.compile(r"(?<![0-9A-Za-z)\]}])\*\*(?!\s)|(?<=\S)\*\*(?![0-9A-Za-z(\[{\\])")
"""Marks that have no partner on their line."""
_BARE_BOX = re.compile(r"\\boxed\s+(-?[0-9A-Za-z.]{1,40})(?![0-9A-Za-z])|\\fbox(?=\s*\{)")
_ANNOUNCED = re.compile(
    r"(\*\*|__)((?:the\s+)?(?:final\s+)?answer(?:\s+is)?\s{0,3}:?(?:[ \t][^\n]{1,200}?)??)\1(?!\w)", re.IGNORECASE
)
_CHEER = re.compile("[✅✓✔☑✨🎉🎊😀-😎🙂👍🎯]")
_CHEERS = re.compile(
    rf"(?<=[\w.!?)\]}}*$])[ \t]{{1,3}}(?:{_CHEER.pattern}|\ufe0f){{1,8}}[ \t]*$",
    re.MULTILINE,
)
"""Pictures at a line's end that say nothing."""
_ANNOUNCING_TEXT = re.compile(r"\\text(?:bf|rm|it)?\s{0,3}\{([^{}]{0,60}\banswer\b[^{}]{0,40})\}", re.IGNORECASE)
_LATEX_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|texttt|mathrm|mathbf|mathit|mbox|bf|rm|operatorname)\s{0,3}\{([^{}]*)\}"
)
_ENCLOSED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_DISPLAY = re.compile(r"\$\$|\\[\[\]]|\\(?:begin|end)\{[A-Za-z]{1,12}\*?\}")


class NoAnswerError(ValueError):
    """The text commits to no final answer; the message says why."""


def clean(text: str, *, verbatim: bool = False) -> str:
    """`verbatim`: the layout may be the answer, so that only invisible characters and a bold `Answer:` go.

    Raises NoAnswerError if the text is empty, too long, or holds characters that reorder it.
    """
    if len(text) > MAX_TEXT:
        raise NoAnswerError(f"{len(text)} characters are more than {MAX_TEXT}")
    if not text.isascii():
        if _OVERRIDES.search(text):
            raise NoAnswerError("the text holds characters that reorder it or strike it out")
        text = INVISIBLE.sub("", text).replace("’", "'")
        if _CHEER.search(text):
            text = _CHEERS.sub("", text)
    text = _announced(text) if verbatim else _undressed(text)
    if not text.strip():
        raise NoAnswerError("nothing follows the reasoning")
    return text


def _announced(text: str) -> str:
    """A bold or headed `Answer` in plain characters."""
    if _may_be_headed(text.lower()):
        text = _HEADING.sub(lambda found: "Answer: " if found["answer"] or found["alone"] else found.group(), text)
    return _ANNOUNCED.sub(r"\2", text) if "**" in text or "__" in text else text


def _may_be_headed(lower: str) -> bool:
    """A quick test that excludes most texts without a headed `Answer`."""
    place = lower.find("answer")
    if place >= 0 and "#" in lower:
        return True
    while place >= 0:
        if lower[place + 6 : place + 7] in "\n \t*_":  # also at the end of the text
            return True
        place = lower.find("answer", place + 6)
    return False


def _undressed(text: str) -> str:
    if "<" in text:
        text = _HTML.sub("", _CALCULATOR.sub("", text))
    if "~~" in text:
        text = _STRUCK.sub("", text)
    text = _unfenced(text)
    if "#" in text or _may_be_headed(text.lower()):
        text = _HEADING.sub(lambda found: "Answer: " if found["answer"] or found["alone"] else "", text)
    if "    " in text or not text.isprintable():  # of spaces only the common one is printable
        text = _BLANK.sub(lambda run: "\n\n" if "\n" in run.group() else "  ", text)
    if "*" in text or "_" in text or "`" in text:
        text = _BOLD.sub("", _EMPHASIS.sub(_plain, text))
    if "\\text" in text:
        text = _ANNOUNCING_TEXT.sub(r"\1", text)
    if "\\[" in text or "$$" in text or "\\begin" in text:
        text = _joined_displays(text)
    if "box" in text:
        text = _BARE_BOX.sub(lambda found: rf"\boxed{{{found[1]}}}" if found[1] else r"\boxed", text)
    return text.strip()


def unwrapped(text: str) -> str:
    r"""Without dollar signs around all of it, `\(...\)` and `\text{...}`."""
    return latex_text(enclosed(text.strip()))


def latex_text(text: str) -> str:
    r"""`\text{...}` and its kin replaced by what they hold."""
    return _LATEX_TEXT.sub(r"\1", text).strip() if "\\" in text else text


def enclosed(text: str) -> str:
    """Returns the content of one pair of dollar signs or LaTeX delimiters, if they enclose the whole text."""
    if not text.startswith(("$", "\\")):
        return text
    for opening, closing in _ENCLOSED:
        inside = text[len(opening) : len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            return text if opening in inside else inside.strip()
    return text


def _unfenced(text: str) -> str:
    return _FENCE.sub("", text) if "```" in text or "~~~" in text else text


def _plain(match: re.Match[str]) -> str:
    return match["strong"] or match["star"] or match["line"] or match["number"] or ""


def _joined_displays(text: str) -> str:
    r"""Displayed formulas, `\[...\]`, `$$...$$` and environments, each on one line."""
    parts: list[str] = []
    depth = start = 0
    closing = ""
    for mark in _DISPLAY.finditer(text):
        own = mark.group()
        opens = own == r"\[" or own.startswith(r"\begin") or (own == "$$" and closing != "$$")
        if not depth and opens:
            parts.append(text[start : mark.start()])
            depth, start, closing = 1, mark.start(), own
        elif depth and own.startswith(r"\begin"):
            depth += 1
        elif depth and not opens:
            depth -= 1
            if not depth:
                parts.append(" ".join(text[start : mark.end()].split()))
                start, closing = mark.end(), ""
    return "".join([*parts, text[start:]])
