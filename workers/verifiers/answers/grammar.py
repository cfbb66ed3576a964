"""What one verifier accepts as a value, and the answers that the reader finds with it.

What a verdict makes several of is a named tuple: making a frozen dataclass takes five times as long.

Invariant: a grammar says what a stretch (a piece of text, such as a line, a sentence or the content of a mark) is; it
never looks around it. The reader (final_answer.py) decides whether the writer stands by it.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Remark(NamedTuple, Generic[Value]):
    """A commitment in a wording that only one verifier knows, such as `I choose B`."""

    value: Value
    start: int
    end: int
    rank: int
    """2: it counts like `the answer is`. 1 and 0: it counts only if nothing of a higher rank is in the text. (Marks
    have rank 3, and rank 2 counts next to them.)
    """
    doubt: str = ""
    """Why the writer does not commit to it, or an empty text."""


def _nothing(_: str) -> list[Any]:
    return []


class Grammar(NamedTuple, Generic[Value]):
    r"""What one verifier accepts as a value. Only `accepts` is required.

    A verifier of Roman numerals, whose reader then understands `\boxed{XIV}`, `The answer is XIV.` and `So it is XIV.`:

        def numeral(text: str) -> str | None:
            text = text.strip(" .").upper()
            return text if re.fullmatch("[IVXLCDM]+", text) else None

        Grammar(numeral)

    With `within=lambda text: re.findall("[IVXLCDM]+", text)`, `Caesar carved XIV here` is an answer, too.
    """

    accepts: Callable[[str], Value | None]
    """The value of a stretch that is a value from end to end, else None. May raise NoAnswerError if it is hedged."""
    marked: Callable[[str, str], Value | None] | None = None
    r"""The value of a mark's content (default: as `accepts`). It may accept more, because the mark says that this is
    the answer. The second argument is the text right behind the mark: quantity finds the unit of `\boxed{5} km` there.
    """
    within: Callable[[str], list[Value]] = _nothing
    """The values that stand among other words in a stretch, all of which are committed to. The reader asks only if
    nothing else gives an answer, and refuses values of sentences that deny, doubt or ask.
    """
    remarks: Callable[[str], Iterable[Remark[Value]]] = _nothing
    """Commitments in the verifier's own wordings."""
    literal: Callable[[str], bool] = lambda _: False
    """Whether a stretch is a possible answer letter by letter, so that its words of doubt are content: `Maybe` may be
    a song's title.
    """
    free: bool = False
    """True if any text is a value (`exact`). `The answer is Paris, of course` then has several readings (`Paris`;
    `Paris, of course`), and it is right if one of them is.
    """
    verbatim: bool = False
    """True if layout counts: emphasis and spaces stay."""
    concludes: bool = True
    """True if the last sentence gives an answer behind its verb: `So 6 times 7 is 42`."""
    lists: bool = False
    r"""True if `\boxed{2}` and `\boxed{3}` may be the list 2, 3."""
    extent: Callable[[str, Value], int] = lambda text, _: len(text)
    """How many characters of the stretch the value takes up; doubt is looked for behind them."""


class Answer(NamedTuple, Generic[Value]):
    """One place that commits itself; it is right if one of its readings is."""

    readings: tuple[Value, ...]
    start: int
    end: int
    rank: int
    """3: a mark. 2: a statement. The rest as in `Remark`; 0 for a text that announces nothing."""
    stands: bool = True
    """False: denied, asked, or called wrong."""
    doubt: str = ""
    """Why it is not a commitment, or an empty text."""
