"""Checkers of puzzles with many right answers: the facts that a checker needs from an entry, and a pure test.

Invariant: facts are validated before the answer is examined, so that a broken entry is distinguished from a wrong
answer, and no answer can make a checker raise another error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

Facts = TypeVar("Facts", bound=msgspec.Struct)


class EntryError(ValueError):
    """The entry's metadata lacks what its checker needs."""


class MissingDataError(LookupError):
    """Data that the checker needs is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Checker(Generic[Facts]):
    says: str
    """Description, for the user, of an answer and of when it is right."""
    facts: type[Facts]
    """Type of the facts that are read from the entry's metadata."""
    test: Callable[[str, Facts], str | None]
    """Returns why the answer is wrong, or None. Raises FormError if it is not an answer, EntryError if no answer can be
    right."""

    def read_facts(self, metadata: Any) -> Facts:
        """Reads the facts from an entry's metadata. Raises EntryError."""
        try:
            return msgspec.convert(metadata, self.facts, strict=False)
        except msgspec.ValidationError as error:
            raise EntryError(f"options.entry.metadata: {error}") from error
