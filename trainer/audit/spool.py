"""A run's evidence on disk, sorted by group: what an audit reads in any order is judged one group at a time.

Invariant: memory does not depend on the number of items. They lie in a private temporary database of SQLite, which has
no name and is gone with its connection, however the process ends. Its size is about 100 bytes an item, twice while it
is sorted; it lies where SQLite keeps temporary files: `SQLITE_TMPDIR`, else `TMPDIR`, else /var/tmp.
"""

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

CACHE_MIB = 32
"""Pages that SQLite keeps in memory, and as much again while it sorts; with fewer, it merges more often."""
_BATCH = 1000
"""Items per statement: enough that a statement's own cost does not count, and some hundred KB."""
_SCHEMA = """
CREATE TABLE evidence (seq INTEGER NOT NULL, kind INTEGER NOT NULL, item BLOB NOT NULL, place TEXT);
CREATE TABLE set_aside (place TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE unreadable (place TEXT PRIMARY KEY, error TEXT NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID;
"""
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS set_aside_place ON set_aside (place)",
    "CREATE INDEX IF NOT EXISTS set_aside_digest ON set_aside (digest)",
)
"""Made once all is read, which is cheaper than to keep them."""


class Spooled(NamedTuple):
    item: Any
    """An object of one of the spool's kinds."""
    place: str | None
    """The record's place in the log, if it was given and no dead letter names it."""


class EvidenceSpool:
    """Takes items of the given types, which msgspec encodes, and gives them back by group, in the order in which they
    came.

    Not thread-safe. Every method raises OSError if the temporary file has no place or no room.
    """

    def __init__(self, kinds: Sequence[type]) -> None:
        self._numbers = {kind: number for number, kind in enumerate(kinds)}
        self._decoders: list[msgspec.msgpack.Decoder[Any]] = [msgspec.msgpack.Decoder(kind) for kind in kinds]
        self._encode = msgspec.msgpack.Encoder().encode
        self._waiting: list[tuple[int, int, bytes, str | None]] = []
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            # nothing is ever rolled back, and nothing outlives the process
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE; "
            f"PRAGMA cache_size=-{CACHE_MIB << 10}; {_SCHEMA} BEGIN;"
        )

    def add(self, seq: int, item: object, place: str | None = None) -> None:
        """Adds an item of group `seq`, and the place of its record if a dead letter on it matters."""
        self._waiting.append((seq, self._numbers[type(item)], self._encode(item), place))
        if len(self._waiting) >= _BATCH:
            self._write()

    def set_aside(self, place: str, digest: bytes) -> None:
        """Notes a dead letter: the place of the record that it names, and the digest of its body."""
        with _room():
            self._database.execute("INSERT INTO set_aside VALUES (?, ?)", (place, digest))

    def add_unreadable(self, place: str, error: str, digest: bytes) -> None:
        with _room():
            self._database.execute("INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?)", (place, error, digest))

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """(place in the log, error) of the records that are not in the dead letters.

        The router passes bodies on unread, so a dead letter may name another topic than that of the record here: the
        digest of the body counts, too.
        """
        yield from self._query(
            "SELECT place, error FROM unreadable WHERE place NOT IN (SELECT place FROM set_aside) "
            "AND digest NOT IN (SELECT digest FROM set_aside) ORDER BY place"
        )

    def groups(self) -> Iterator[tuple[int, Iterator[Spooled]]]:
        """Every group's items, by rising seq. A group's iterator ends with the step to the next group."""
        rows = self._query(
            "SELECT seq, kind, item, CASE WHEN place NOT IN (SELECT place FROM set_aside) THEN place END "
            "FROM evidence ORDER BY seq, rowid"
        )
        decoders = self._decoders
        for seq, found in groupby(rows, lambda row: row[0]):
            yield seq, (Spooled(decoders[kind].decode(item), place) for _, kind, item, place in found)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self) -> None:
        with _room():
            self._database.executemany("INSERT INTO evidence VALUES (?, ?, ?, ?)", self._waiting)
        self._waiting.clear()

    def _query(self, query: str) -> Iterator[Any]:
        self._write()
        with _room():
            for index in _INDEXES:
                self._database.execute(index)
            cursor = self._database.execute(query)
            while rows := cursor.fetchmany(_BATCH):
                yield from rows


@contextmanager
def _room() -> Iterator[None]:
    """Says what to do if the temporary file has no place or no room."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}:
            raise
        raise OSError(
            errno.ENOSPC,
            f"the audit cannot write its temporary file ({error}), which takes about 200 bytes for each rollout, "
            "verdict and row: set TMPDIR to a folder with room",
        ) from error
