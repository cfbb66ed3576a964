"""What a check found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """The run starts, and lacks something."""
    FAILURE = "failure"
    """The run cannot start, or would end by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    part: str
    level: Level
    text: str
    mend: str = ""
    """What to do; empty if all is well."""
    by_settings: bool = False
    """Whether a setting is wrong, rather than something missing on this machine."""

    def __str__(self) -> str:
        return f"{self.part}: {self.text}{': ' if self.mend else ''}{self.mend}"


def ok(part: str, text: str) -> Finding:
    return Finding(part=part, level=Level.OK, text=text)


def note(part: str, text: str, mend: str) -> Finding:
    return Finding(part=part, level=Level.NOTE, text=text, mend=mend)


def missing(part: str, text: str, mend: str) -> Finding:
    return Finding(part=part, level=Level.FAILURE, text=text, mend=mend)


def wrong(part: str, text: str, mend: str) -> Finding:
    return Finding(part=part, level=Level.FAILURE, text=text, mend=mend, by_settings=True)
