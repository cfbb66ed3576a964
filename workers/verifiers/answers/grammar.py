"""What one verifier takes for a value, and the answers that are read by it.

Invariant: a grammar says what a stretch of text is; it never looks around it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Remark(Generic[Value]):
    """A place where a verifier's own wording commits itself, such as `I choose B`."""

    value: Value
    start: int
    end: int
    rank: int
    """2 counts as a statement of the answer does; lower ranks count only if no higher one does."""
    doubt: str = ""


def _nothing(_: str) -> list[Any]:
    return []


@dataclass(frozen=True, slots=True)
class Grammar(Generic[Value]):
    """What one verifier takes for a value."""

    accepts: Callable[[str], Value | None]
    """The value that a stretch of text is, as a whole; None if it is none. May raise NoAnswerError on doubt."""
    marked: Callable[[str, str], Value | None] | None = None
    """The same for what is within a mark, which says that it is an answer (default: accepts), and what is behind it."""
    within: Callable[[str], list[Value]] = _nothing
    """Values that a sentence, or a text without announcement, gives among other words; all of them are committed to."""
    remarks: Callable[[str], Iterable[Remark[Value]]] = _nothing
    """Places of the verifier's own."""
    literal: Callable[[str], bool] = lambda _: False
    """Whether a stretch is a possible answer, letter by letter: `Maybe`, `What's Up, Doc?`."""
    free: bool = False
    """Any text is a value, so that a stretch may be read in several ways, of which one must be right."""
    verbatim: bool = False
    """Layout counts: emphasis and blanks stay."""
    concludes: bool = True
    """A last sentence such as `So 6 times 7 is 42` gives its answer behind the verb."""
    lists: bool = False
    r"""`\boxed{2}` and `\boxed{3}` may be the list 2, 3."""
    extent: Callable[[str, Value], int] = lambda text, _: len(text)
    """How much of a stretch the value takes up."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """One place that commits itself; it is right if one of its readings is."""

    readings: tuple[Value, ...]
    start: int
    end: int
    rank: int
    stands: bool = True
    """False: denied, asked, or called wrong."""
    doubt: str = ""
    """Why it is no commitment."""
