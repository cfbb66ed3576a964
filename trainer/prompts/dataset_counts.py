"""What is in a dataset: its prompts by format, domain and scorer, and its refused rows by reason.

Invariant: memory grows with the number of kinds, never with that of rows.
"""

from dataclasses import dataclass, field
from typing import Any

from trainer.prompts.dataset import PromptRow, Rejection, RowParser
from trainer.prompts.rejected_rows import ReasonCount, RejectedRows
from trainer.prompts.scorer_names import scorer_name

_LINES = 3
"""Lines of repeated prompts that are kept."""


@dataclass(slots=True)
class DatasetCounts:
    file: str
    kinds: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """Accepted prompts by format, domain and scorer."""
    ignored: dict[tuple[str, str], int] = field(default_factory=dict)
    """Rows by format and column that the format does not read."""
    repeated: int = 0
    """Accepted rows whose prompt an earlier row has."""
    repeated_lines: list[int] = field(default_factory=list)
    rejected: int = 0
    reasons: dict[str, ReasonCount] = field(default_factory=dict)
    examples: list[Rejection] = field(default_factory=list)
    """The first rejected rows."""
    rejected_file: str | None = None
    """The file that holds every rejected row."""

    @property
    def accepted(self) -> int:
        return sum(self.kinds.values())

    def add(self, row: PromptRow) -> None:
        kind = (row.format, row.domain, scorer_name(row.question))
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    def repeat(self, line: int) -> None:
        self.repeated += 1
        if len(self.repeated_lines) < _LINES:
            self.repeated_lines.append(line)

    def finish(self, parser: RowParser | None, rejected: RejectedRows) -> None:
        if parser is not None:
            self.ignored = dict(parser.ignored)
        self.rejected, self.examples, self.reasons = rejected.count, rejected.examples, rejected.reasons
        self.rejected_file = rejected.written_to

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "file": self.file,
            "accepted": self.accepted,
            "prompts": [
                {"format": form, "domain": domain, "scorer": scorer, "prompts": count}
                for (form, domain, scorer), count in sorted(self.kinds.items())
            ],
            "ignored_columns": [
                {"format": form, "column": column, "rows": count}
                for (form, column), count in sorted(self.ignored.items())
            ],
            "repeated": self.repeated,
            "rejected": self.rejected,
            "reasons": [
                {"reason": one.example, "rows": one.count, "lines": one.lines} for one in self.reasons.values()
            ],
            "rejected_file": self.rejected_file,
        }
