"""Checks datasets without a database: what would be ingested, what would be refused and why.

Invariant: nothing is written except the rejected rows. Memory holds one batch of rows; what has been seen is known by
16 bytes per prompt in a temporary file.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from streams.wide_integers import pack
from trainer.prompts.dataset import Defaults, PromptRow, Rejection, RowParser, read_dataset
from trainer.prompts.dataset_counts import DatasetCounts
from trainer.prompts.rejected_rows import RejectedRows

_DIGEST = 16
"""Bytes by which a prompt is known: two of a billion prompts share them with a chance of 1e-21."""

Length = Callable[[PromptRow], str | None]
"""Returns why a prompt is too long for the model, or None."""


def check_files(
    files: Iterable[tuple[Path, Defaults]], rejected_to: Callable[[Path], RejectedRows], length: Length | None = None
) -> list[DatasetCounts]:
    """Counts the rows of each file; `length` refuses prompts that are too long. A prompt that the files have in both
    splits is refused where it comes second. Raises DatasetError if a file cannot be read.
    """
    found = []
    with closing(_Seen()) as seen:
        for path, defaults in files:
            counts, parser = DatasetCounts(str(path)), RowParser(defaults)
            with rejected_to(path) as rejected:
                for line, row in read_dataset(path, defaults, parser):
                    if isinstance(row, Rejection):
                        rejected.add(row)
                        continue
                    first, why = _place(row, f"{path}:{line}", seen, length)
                    if why:
                        rejected.add(Rejection(str(path), line, why, row.question.prompt[:1000]))
                        continue
                    counts.add(row)
                    if first is not None:
                        counts.repeat(line)
                counts.finish(parser, rejected)
            found.append(counts)
    return found


def _place(row: PromptRow, where: str, seen: "_Seen", length: Length | None) -> tuple[str | None, str | None]:
    """Returns where the prompt was before, if it was, and why it is refused, if it is."""
    why = length(row) if length is not None else None
    first = None if why else seen.add(row, where)
    if first is None:
        return None, why
    if first[0] != row.split:
        return first[1], f"the same prompt is in split {first[0]!r} at {first[1]!r}, this row says {row.split!r}"
    return first[1], None


class _Seen:
    """The messages of every prompt so far, by digest, in a database that SQLite keeps in a temporary file."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # private and on disk; its cache has two megabytes
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, split TEXT, place TEXT) WITHOUT ROWID")

    def add(self, row: PromptRow, place: str) -> tuple[str, str] | None:
        """Returns the split and place at which the prompt was first, or None if it is new."""
        digest = hashlib.blake2b(pack(row.messages), digest_size=_DIGEST).digest()
        done = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (digest, row.split, place))
        if done.rowcount:
            return None
        found = self._database.execute("SELECT split, place FROM seen WHERE id = ?", (digest,)).fetchone()
        return str(found[0]), str(found[1])

    def close(self) -> None:
        self._database.close()
