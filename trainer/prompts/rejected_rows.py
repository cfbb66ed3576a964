"""The bad rows of a dataset: counted by reason, all of them written to a file, and the first few kept for the report.

Invariant: memory does not grow with their number.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from trainer.prompts.dataset import Rejection

_EXAMPLES = 20
"""Bad rows that are kept: enough to see a pattern in them."""
_REASONS = 100
"""Kinds of reasons that are counted apart; a file has a handful."""
_LINES = 3
"""Lines that are kept of each kind: enough to look one up."""
_OTHER = "other reasons"
_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|\{.*\}|\[.*\]|\d+")
"""What differs between rows with the same fault: what they hold, and numbers."""


@dataclass(slots=True)
class ReasonCount:
    """Rows with the same fault."""

    count: int = 0
    lines: list[int] = field(default_factory=list)
    """The first of them."""
    example: str = ""
    """The whole reason of the first."""


@dataclass(slots=True)
class RejectedRows:
    """A context manager: the file is complete when it is left. Without a bad row no file is made."""

    path: Path | None
    """The file for the bad rows; None keeps only their number and the first few."""
    append: bool = False
    """Whether the file keeps what is in it, as when several datasets share it."""
    count: int = 0
    examples: list[Rejection] = field(default_factory=list)
    reasons: dict[str, ReasonCount] = field(default_factory=dict)
    """Counts by reason, without what is particular to a row."""
    _file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def written_to(self) -> str | None:
        return None if self._file is None else str(self.path)

    def add(self, rejection: Rejection) -> None:
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(rejection)
        self._count_reason(rejection)
        if self.path is not None:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a" if self.append else "w", encoding="utf-8")
            self._file.write(json.dumps(asdict(rejection)) + "\n")

    def _count_reason(self, rejection: Rejection) -> None:
        kind = _PARTICULAR.sub("...", rejection.reason)
        if kind not in self.reasons and len(self.reasons) >= _REASONS:
            kind = _OTHER
        found = self.reasons.setdefault(kind, ReasonCount(example=rejection.reason))
        found.count += 1
        if len(found.lines) < _LINES:
            found.lines.append(rejection.line)


def rejected_path(folder: Path, dataset: Path) -> Path:
    """The file for a dataset's bad rows in a folder of ours, since the dataset's own may be read-only. Datasets of one
    name in several folders have files of their own.
    """
    place = hashlib.sha256(str(dataset.resolve()).encode()).hexdigest()[:8]
    return folder / f"{dataset.stem}-{place}.rejected.jsonl"
