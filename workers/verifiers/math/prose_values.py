r"""Finds values within prose: LaTeX environments, and chains of numbers such as `7 + 4 = 11`.

Invariant: values are ordered by kind and position, none is left out, and the search is linear in the text.
"""

import re

from workers.verifiers.answers.unit_names import SCALES, UNITS

_DELIMITER = re.compile(r"(?<!\\)\$\$?|\\[()\[\]]")
_CLOSING = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}
_JOIN = re.compile(r"\s*(?:,|;|,?\s*(?:and|or))\s*", re.IGNORECASE)
_REPEATING = r"\d{0,20}\.\d{0,20}\\overline\{\d{1,20}\}"
_DIGITS = rf"(?:{_REPEATING}|" + r"\d{1,3}(?: \d{3})+(?![\d,])|\d{1,9} \d{1,9}/\d{1,9}|\d(?:[\d,]*\d)?(?:\.\d+)?|\.\d+)"
_SCALE = "|".join([*SCALES, "squared", "cubed", "factorial", "pi"])
_CHAIN = re.compile(
    rf"(?<![0-9A-Za-z_.])(?>[-+±]?(?:\\?[$€£¥]\s?)?-?{_DIGITS}(?:\s?:\s?\d+)*(?:\s*\\?%|°|\s*[ap]\.?m\b)?"
    rf"(?:\s*[-+*/^=×÷·]\s*[({{]?[-+]?{_DIGITS}[)}}]?(?:\s*\\?%)?)*"
    rf"(?:\s+(?:{_SCALE}|and\s+(?:a|one|two|three)\s+(?:hal|thir|quarter|fourth)\w{{0,2}})\b|\s*(?:{UNITS})\b|[mgshl]\b)?)(?!-?[A-Za-z])",
    re.IGNORECASE,
)

_DETERMINER = re.compile(r"\b(?:the|all|these|those|both)\s\Z", re.IGNORECASE)
_DETERMINER_REACH = 8
_NOUN = re.compile(r"\s(?!(?:and|or|is|are|was|were|plus|minus|times|of|to|that|which)\b)[a-z]{3}", re.IGNORECASE)


def environments(text: str) -> list[tuple[int, int, str]]:
    r"""Finds start, end and content of each `$...$`, `$$...$$`, `\(...\)` and `\[...\]`; a single dollar closes in its
    line.
    """
    found = []
    opened: re.Match[str] | None = None
    for mark in _DELIMITER.finditer(text):
        if opened is not None and _CLOSING[opened[0]] == mark[0]:
            content = text[opened.end() : mark.start()]
            money = opened[0] == "$" and content[:1].isdigit() and text[mark.end() : mark.end() + 1].isdigit()
            if content.strip() and not money and not (opened[0] == "$" and "\n" in content):
                found.append((opened.start(), mark.end(), content))
                opened = None
                continue
        if mark[0] in _CLOSING and (opened is None or opened[0] == mark[0]):
            opened = mark
    return found


def values(text: str) -> list[str]:
    """Returns the environments, with a list of them as one (`$1$ and $2$`), and the chains of numbers outside them."""
    found: list[str] = []
    outside: list[str] = []
    position = 0
    for start, end, content in environments(text):
        between = text[position:start]
        if position and _JOIN.fullmatch(between):
            found[-1] += f", {content}"
        else:
            found.append(content)
        outside.append(between)
        position = end
    rest = " ; ".join([*outside, text[position:]])
    chains = list(_CHAIN.finditer(rest))
    if len(chains) > 1 or (chains and found):
        chains = [chain for chain in chains if not _is_restated(rest, chain)] or chains
    return found + [match[0].strip() for match in chains]


def _is_restated(text: str, chain: re.Match[str]) -> bool:
    """Whether a number only counts things that are known: 16 in `$64 for the 16 glasses`."""
    before = text[max(0, chain.start() - _DETERMINER_REACH) : chain.start()]
    counts = chain[0][-1:].isalpha() or _NOUN.match(text, chain.end()) is not None
    return counts and _DETERMINER.search(before) is not None
