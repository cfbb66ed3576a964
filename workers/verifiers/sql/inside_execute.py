"""Runs in the sandbox: executes one query on each database image and returns its rows.

Invariant: the query only reads: the files are opened read-only, the authorizer allows SELECT, columns and functions
whose value depends on their arguments only, and time, rows and bytes are bounded. The expected rows are not known here.

stdin   JSON {"query": SQL, "images": count, "seconds": of CPU for all, "rows": most, "bytes": most, "heap": bytes,
        "now": text, "dialect": name, "case_sensitive": whether LIKE is}; the images are the files 0.db, 1.db and so on
stdout  JSON {"results": [{"columns": [...], "rows": [[...], ...]}, ...]}, one per image; or {"failed": "error" |
        "timeout" | "oom" | "size", "why": text}. A blob is {"hex": text}
"""

import json
import sqlite3
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.verifiers.sql.inside_dialect import register

ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
REFUSED_FUNCTIONS = {
    *(
        "random",
        "randomblob",
        "load_extension",
        "changes",
        "total_changes",
        "last_insert_rowid",
        "readfile",
        "writefile",
    ),
    *("sqlite_version", "sqlite_source_id", "sqlite_compileoption_get", "sqlite_compileoption_used", "fts3_tokenizer"),
}
STEPS = 10_000
"""Steps of SQLite's virtual machine between two checks of the clock: a fraction of a millisecond."""
CLOCKS = {"date": None, "time": None, "datetime": None, "julianday": None, "unixepoch": None, "strftime": 1}
"""Functions that read the clock if an argument is `now`, or if they have only this number of arguments."""


class TooLargeError(Exception):
    """The result has more rows or bytes than are allowed."""


def authorize(action: int, _first: str | None, second: str | None, *_: str | None) -> int:
    if action in ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def open_image(number: int, asked: dict[str, Any], deadline: float) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{number}.db?mode=ro&immutable=1", uri=True, isolation_level=None)
    freeze_clock(connection, asked["now"])
    connection.execute(f"PRAGMA hard_heap_limit = {int(asked['heap'])}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if asked.get("dialect", "sqlite") != "sqlite":
        register(connection, case_sensitive=asked["case_sensitive"])
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, int(asked["bytes"]))
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(lambda: time.process_time() > deadline, STEPS)
    connection.set_authorizer(authorize)
    return connection


def freeze_clock(connection: sqlite3.Connection, now: str) -> None:
    """Makes `now` constant, so that a query about today gives the same rows on every day."""
    clock = sqlite3.connect(":memory:", isolation_level=None)
    for name, first in CLOCKS.items():
        connection.create_function(name, -1, partial(frozen, clock, name, first or 0, now))
    for name, function in (("current_date", "date"), ("current_time", "time"), ("current_timestamp", "datetime")):
        connection.create_function(name, 0, partial(frozen, clock, function, 0, now))


def frozen(clock: sqlite3.Connection, name: str, first: int, now: str, *given: Any) -> Any:
    values = [now if isinstance(value, str) and value.strip().lower() == "now" else value for value in given]
    if len(values) == first:
        values.append(now)
    marks = ", ".join("?" * len(values))
    return clock.execute(f"SELECT {name}({marks})", values).fetchone()[0]


def run(connection: sqlite3.Connection, asked: dict[str, Any]) -> dict[str, Any]:
    cursor = connection.execute(asked["query"])
    rows, size = [], 0
    for row in cursor:
        shown = [{"hex": value.hex()} if isinstance(value, bytes) else value for value in row]
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        rows.append(shown)
        if len(rows) > asked["rows"] or size > asked["bytes"]:
            raise TooLargeError(f"more than {asked['rows']} rows or {asked['bytes']} bytes")
    return {"columns": [column[0] for column in cursor.description or ()], "rows": rows}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    deadline = time.process_time() + asked["seconds"]
    results = []
    try:
        for number in range(asked["images"]):
            connection = open_image(number, asked, deadline)
            results.append(run(connection, asked))
            connection.close()
    except MemoryError:
        return {"failed": "oom", "why": "the memory limit was reached"}
    except TooLargeError as error:
        return {"failed": "size", "why": str(error)}
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        if time.process_time() > deadline:
            return {"failed": "timeout", "why": "time is up"}
        return {"failed": "error", "why": f"{type(error).__name__}: {error}"}
    return {"results": results}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.loads(sys.stdin.buffer.read()))))
