"""The one interface to formats of datasets: a row with foreign columns in, the same prompt in our own columns out.

Invariant: a format is known by its columns, and where columns alone are not enough by the first rows; no scorer is
guessed. A conversion looks at its row alone, and reads nothing else.

To add one: write a class of this shape in a module of its own, put it into `FORMATS` (known_formats.py), and give the
contract test rows of it (tests/unit/trainer/prompts/formats/test_format_contract.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from trainer.prompts.formats.scorer_rules import ScorerRules

Row = Mapping[str, Any]
Columns = frozenset[str]


class RowFormat(Protocol):
    name: ClassVar[str]
    """The name in reports."""
    reads: ClassVar[Columns]
    """Columns that the conversion reads. Others are reported as ignored."""

    def recognises(self, columns: Columns, first: Sequence[Row]) -> bool:
        """Whether rows with these columns have this format. `first`: up to twenty of them, at least one."""

    def convert(self, row: Row, rules: ScorerRules) -> dict[str, Any]:
        """Returns the row in our own columns (own_columns.py). Raises RowError."""
