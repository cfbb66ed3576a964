"""Whether a number is a quantity by itself or part of a calculation: `2 * 5 m`, `√5 m/s`, `half of 5 m`, `5 m + 3 m`.

Invariant: a number next to an operator, a root or a word that changes it is not an answer by itself. Every search of
the text is bounded.
"""

import re

_REACH = 40
"""Characters before a number that are searched for a word that changes it."""
_BEFORE = re.compile(
    r"(?:(?<=[\w)}°²³%])\s?[×*·/+÷]|[√∛∜±^]|(?<=[\w)}])\s?[-−–]\s|\d\s*\)\s*\(|\d\s?[xX]\s|\d[xX]"
    r"|\\[A-Za-z]+(?:\s*\[[^\]]{0,9}\])?)\s*[({]?\s*[-+]?\s*$"
    r"|\b(?:half|twice|thrice|double|triple|quadruple|sqrt|root|cubed?|squared?|log|ln|lg|exp|sin|cos|tan|cot"
    r"|arc\w{3}|factorial|minus|negative|plus|times|divided\s+by|multiplied\s+by|over|power\s+of)"
    r"\s*\(?\s*(?:of\s+)?(?:the\s+)?\(?\s*$"
    r"|\b(?:third|quarter|fourth|fifth|sixth|eighth|tenth|hundredth|percent)s?\s+of\s+(?:the\s+)?$"
    r"|%\s*of\s+(?:the\s+)?$|(?<=\w)\($",
    re.IGNORECASE,
)
_LAST = frozenset("×*·/+÷√∛∜±^-−–({]_")
"""What `_BEFORE` ends with, apart from letters, digits and spaces; most numbers follow something else."""
_AFTER = re.compile(
    r"\s?[×*·^÷_]|/|\s/\s?[\d(]|\s?\+\s?[\d(√\\]|\s[-−]\s?[\d(√\\]|\s?[xX]\s?\d|\s?√|\s?\\?[bp]?mod\b|\s?\\(?:sqrt|frac|binom|div|choose|l?dots|cdots|to|mp)(?![A-Za-z])|!(?=\s?(?:m|s|kg|g|N|J|W|V|A|K|Hz|Pa)\b)|\(\d"
    r"|\s?(?:per|times|plus|minus|over|divided\s+by|multiplied\s+by)\s(?=[\d(√])"
    r"|\s(?:squared|cubed|factorial|hundred|dozen|halves|thirds?|quarters?|fourths|fifths|tenths|and\s+a\s+(?:half|quarter|third))\b"
    r"|\d",
    re.IGNORECASE,
)


def calculated_before(text: str, start: int) -> bool:
    """Whether the text before the number that begins at `start` makes it part of a calculation."""
    before = text[max(0, start - _REACH) : start]
    last = before.rstrip()[-1:]
    return (last.isalnum() or last in _LAST) and _BEFORE.search(before) is not None


def calculated_after(text: str, end: int) -> bool:
    """Whether the text after the quantity that ends at `end` makes it part of a calculation."""
    return _AFTER.match(text, end) is not None
