r"""The outer structure of one expression's LaTeX: lists, both signs of `\pm`, cases, and the condition after it.

Invariant: text is only split, outside brackets; every pattern is linear in the text.
"""

import re
from dataclasses import dataclass

MAX_SIGNS = 3
"""Most signs in one element of a list; an element with more is not expanded."""

_SIGN = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_CASES = re.compile(
    r"(?:[A-Za-z]{1,3}(?:_\{?\w\}?)?\s*(?:\([^()]{1,20}\))?\s*=\s*)?(?:\\left\s*)?(?:\\\{\s*)?"
    r"\\begin\{(?:cases|dcases|array|aligned)\}(?:\{[lcr|\s]{0,20}\})?(?P<rows>.*?)"
    r"\\end\{(?:cases|dcases|array|aligned)\}(?:\s*\\right\s*\.?)?\s*[.,]?",
    re.DOTALL,
)
_ROW = re.compile(r"\\\\(?:\[[^\]]{0,12}\])?")
_CONDITION = re.compile(
    r"\\(?:text|mathrm|textrm|mbox)\s*\{\s*,?\s*(?:if|for|when|where)?\s*\}|^[,;\s]*(?:if|for|when)(?![A-Za-z])|[,;.]\s*$"
)
_OTHERWISE = re.compile(
    r"\s*(?:\\(?:text|mathrm|textrm|mbox)\s*\{\s*)?(?:otherwise|else|elsewhere)\s*\}?\s*", re.IGNORECASE
)
_QUALIFIED = re.compile(
    r"[,;]?\s*(?:\\(?:text|mathrm|textrm|mbox)\s*\{[\s,(]*(?:for|where|with)\b|\(?(?<![A-Za-z\\])(?:for|where)\s).*\Z",
    re.DOTALL,
)
_SAID = re.compile(r"\b(?:for|where|with)\b")
_ABOUT = re.compile(r"[<>=]|\\(?:le|ge|ne|lt|gt|in)(?:q|qslant|slant)?(?![a-z])|[A-Za-z]{3}")
"""Matches what may follow a comma within a qualifier: a condition or words, but not a further value."""
_KINDS = re.compile(r"\b(?:odd|even|prime|negative|composite|irrational)\b", re.IGNORECASE)
_BOUND = re.compile(r"(?:\\[a-z]+\s?)?\w+\s*(?:[<>=]|\\(?:le|ge|ne|lt|gt)(?:q|qslant|slant)?(?![a-z]))\s*-?\s*\w+")
_SPELLINGS = [(re.compile(r"\\(le|ge|ne)(?:q|qslant|slant)(?![a-z])"), r"\\\1"), (re.compile(r"\s+"), "")]


@dataclass(frozen=True, slots=True)
class Qualifier:
    r"""A condition on an expression's letters: `for odd k`, `where n \ge 1`."""

    kinds: frozenset[str] = frozenset()
    """Words that exclude some values."""
    bounds: frozenset[str] = frozenset()


def parts(text: str) -> list[str]:
    """Splits a list at commas and semicolons outside brackets."""
    found, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth <= 0 and text[position - 1 : position] != "\\":
            found.append(text[start:position].strip())
            start = position + 1
    found.append(text[start:].strip())
    return [part for part in found if part]


def signs(text: str) -> str:
    r"""Writes each element with `\pm` twice, with plus and with minus; `\pm a \pm b` four times."""
    if _SIGN.search(text) is None:
        return text
    found = []
    for part in parts(text):
        count = len(_SIGN.findall(part))
        if not 0 < count <= MAX_SIGNS:
            found.append(part)
        elif count > 1 and _SIGN.match(part):
            first = [_SIGN.sub(sign, part, count=1) for sign in "+-"]
            found += [_choose_sign(own, plus=plus) for own in first for plus in (True, False)]
        else:
            found += [_choose_sign(part, plus=True), _choose_sign(part, plus=False)]
    return ", ".join(found)


def _choose_sign(part: str, *, plus: bool) -> str:
    return _SIGN.sub(lambda found: " + " if (found[1] == "pm") == plus else " - ", part)


def cases(text: str) -> list[tuple[str, str]] | None:
    """Returns the values and conditions of a function by cases, or of a system, whose conditions are empty; None if the
    text is neither.
    """
    found = _CASES.fullmatch(text)
    if found is None or "\\begin" in found["rows"]:
        return None
    rows = [row.strip() for row in _ROW.split(found["rows"]) if row.strip()]
    taken = []
    for row in rows:
        value, _, condition = row.partition("&")
        if "&" not in row and (word := re.search(r"\\text\s*\{\s*,?\s*(?:if|for|when|otherwise)\b", row)):
            value, condition = row[: word.start()], row[word.start() :]
        condition = condition.replace("&", " ")
        condition = "otherwise" if _OTHERWISE.fullmatch(condition) else _CONDITION.sub(" ", condition).strip(" ,;.")
        taken.append((value.strip(" ,;."), condition))
    return taken or None


def qualified(text: str) -> tuple[str, Qualifier | None]:
    """Splits a text into the expression and the condition on its letters after it, if any."""
    found = _QUALIFIED.search(text)
    if found is None or not found.start():
        return text, None
    said = found[0]
    if len(_SAID.findall(said)) > 1 or not all(_ABOUT.search(part) for part in parts(said)[1:]):
        return text, None
    bounds = set()
    for bound in _BOUND.findall(said):
        for pattern, replacement in _SPELLINGS:
            bound = pattern.sub(replacement, bound)  # noqa: PLW2901  the same bound, spelt once
        bounds.add(bound)
    kinds = frozenset(word.casefold() for word in _KINDS.findall(said))
    return text[: found.start()].strip(), Qualifier(kinds, frozenset(bounds))
