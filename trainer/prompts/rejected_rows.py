"""The bad rows of a dataset: counted, all of them written to a file, and the first few kept for the report.

Invariant: memory does not grow with their number.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from trainer.prompts.dataset import Rejection

_EXAMPLES = 20
"""Bad rows that are kept: enough to see a pattern in them."""


@dataclass(slots=True)
class RejectedRows:
    """A context manager: the file is complete when it is left. Without a bad row no file is made."""

    path: Path | None
    """The file for the bad rows; None keeps only their number and the first few."""
    count: int = 0
    examples: list[Rejection] = field(default_factory=list)
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
        if self.path is not None:
            if self._file is None:
                self._file = self.path.open("w", encoding="utf-8")
            self._file.write(json.dumps(asdict(rejection)) + "\n")


def rejected_path(path: Path) -> Path:
    """The file for a dataset's bad rows, in the same folder: `data.jsonl` -> `data.rejected.jsonl`."""
    return path.with_suffix(".rejected.jsonl")
