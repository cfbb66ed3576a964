"""What a checker of puzzles with many right answers is: the facts of an entry that it needs, and a pure test.

Invariant: facts are typed before the answer is looked at, so that a broken entry is told from a wrong answer, and no
answer can make a checker fail.
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
    """What an answer is and when it is right, for the user."""
    facts: type[Facts]
    """Read from the entry's metadata."""
    test: Callable[[str, Facts], str | None]
    """Why the answer is wrong, or None. Raises FormError where it is no answer, EntryError where none can be right."""

    def read_facts(self, metadata: Any) -> Facts:
        """Raises EntryError."""
        try:
            return msgspec.convert(metadata, self.facts, strict=False)
        except msgspec.ValidationError as error:
            raise EntryError(f"options.entry.metadata: {error}") from error
