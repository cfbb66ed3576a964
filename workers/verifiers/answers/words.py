"""Words of a plain text, and runs of them.

Invariant: linear in the text.
"""

import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words(text: str) -> list[str]:
    """Case-folded words; a hyphen or an apostrophe inside a word belongs to it."""
    return [match.group().casefold() for match in _WORD.finditer(text)]


def ngrams(tokens: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]


def has_repeated_ngram(tokens: list[str], size: int) -> bool:
    found = ngrams(tokens, size)
    return len(set(found)) < len(found)
