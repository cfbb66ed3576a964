"""Patterns that are tried only if one of their words is in the text, which is many times faster in prose.

Invariant: if each match of a pattern holds (`Keyed`) or begins with (`Scan`) one of its words, the matches are the
pattern's own.
"""

import re
from collections.abc import Sequence


class WordGuard:
    """Tells whether a text holds one of some words, in any case. Words that are longer than the text are not tried."""

    def __init__(self, words: Sequence[str]) -> None:
        """The words are in lower case."""
        self._all = tuple(words)
        plain = [word for word in words if word.isascii()]
        longest = max(map(len, plain), default=0)
        self._ascii = tuple(tuple(word for word in plain if len(word) <= size) for size in range(longest + 1))

    def may_be_in(self, lower: str) -> tuple[str, ...]:
        """Returns all that a text in lower case has room for, and the alphabet."""
        return self._ascii[min(len(lower), len(self._ascii) - 1)] if lower.isascii() else self._all

    def are_in(self, text: str) -> bool:
        lower = text.lower()
        return any(map(lower.__contains__, self.may_be_in(lower)))


class Keyed:
    """A pattern whose every match holds one of the words; a text without them is told in a tenth of the time."""

    def __init__(self, pattern: str, words: Sequence[str]) -> None:
        """The pattern ignores case; the words are in lower case."""
        self.pattern = re.compile(pattern, re.IGNORECASE)
        self._words = WordGuard(words)

    def is_in(self, text: str, start: int = 0) -> bool:
        """Whether a match begins at `start` or behind it."""
        return self._words.are_in(text[start:] if start else text) and self.pattern.search(text, start) is not None


class Scan:
    """The pattern ignores case; the words are in lower case."""

    def __init__(self, pattern: re.Pattern[str], words: Sequence[str]) -> None:
        self.pattern = pattern
        self._words = WordGuard(words)

    def matches(self, text: str, start: int = 0) -> list[re.Match[str]]:
        """Returns the matches that begin at `start` or behind it."""
        lower = text[start:].lower() if start else text.lower()
        if len(lower) != len(text) - start:  # some letters are two in lower case
            return list(self.pattern.finditer(text, start))
        present = list(filter(lower.__contains__, self._words.may_be_in(lower)))
        if not present:
            return []
        places = set()
        for word in present:
            place = lower.find(word)
            while place >= 0:
                places.add(start + place)
                place = lower.find(word, place + 1)
        found: list[re.Match[str]] = []
        end = 0
        for place in sorted(places):
            match = self.pattern.match(text, place) if place >= end else None
            if match is not None:
                found.append(match)
                end = match.end()
        return found
