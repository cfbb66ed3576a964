"""Patterns that are tried only if one of their words is in the text, which is many times faster in prose.

Invariant: if each match of a pattern holds (`Keyed`) or begins with (`Scan`) one of its words, the matches are the
pattern's own.
"""

import re
from collections.abc import Sequence

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


class WordGuard:
    """Tells whether a text holds one of some words, in any case. Words that are longer than the text are not tried, and
    neither are those with a letter beyond ASCII if the text has none of these letters.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """The words are in lower case."""
        self._all = tuple(words)
        plain = [word for word in words if word.isascii()]
        self._longest = max(map(len, plain), default=0)
        self._ascii = tuple(tuple(word for word in plain if len(word) <= size) for size in range(self._longest + 1))
        letters = "".join(sorted({found.group() for word in words if (found := _BEYOND_ASCII.search(word))}))
        self._letter = re.compile(f"[{letters}]" if letters else r"(?!)")

    def may_be_in(self, lower: str) -> tuple[str, ...]:
        """Returns all that a text in lower case has room for, and the alphabet."""
        if lower.isascii() or self._letter.search(lower) is None:
            return self._ascii[min(len(lower), self._longest)]
        return self._all

    def are_in(self, text: str) -> bool:
        lower = text.lower()
        for word in self.may_be_in(lower):  # noqa: SIM110 (a generator takes longer than the search)
            if word in lower:
                return True
        return False


class Keyed:
    """Patterns, each with words of which every match holds one. A text without the words is told in a tenth of the
    time, and a text with the words of one pattern is not searched for the others.
    """

    def __init__(self, *patterns: tuple[str, Sequence[str]]) -> None:
        """The patterns ignore case; the words are in lower case."""
        self.patterns = [(re.compile(pattern, re.IGNORECASE), tuple(words)) for pattern, words in patterns]

    def is_in(self, text: str, start: int = 0) -> bool:
        """Whether a match of one of the patterns begins at `start` or behind it."""
        lower = (text[start:] if start else text).lower()
        for pattern, words in self.patterns:
            for word in words:
                if word in lower:
                    if pattern.search(text, start):
                        return True
                    break
        return False


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
        present = [word for word in self._words.may_be_in(lower) if word in lower]
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
