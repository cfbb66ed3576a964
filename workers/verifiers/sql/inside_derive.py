"""Runs in the sandbox: makes images of database instances from a schema with its data.

Invariant: the same input gives images with the same rows, byte for byte. A derived instance satisfies every
constraint: rows that violate one are left out.

stdin   JSON {"scripts": [SQL, ...], "derived": count, "literals": [text or number, ...]}
stdout  JSON {"images": [base64 of an SQLite file, ...]} or {"error": text}; two images per instance, the second
        with every table's rows stored in reverse
"""

import base64
import json
import random
import re
import sqlite3
import sys
from dataclasses import dataclass
from datetime import date, timedelta

MAX_ROWS = 200
"""Most rows of a table that a derived instance is made from."""
SIZES = ((1.5, 16), (0.8, 3), (2.0, 40), (1.0, 24))
"""Rows in a derived table, per instance: a multiple of the given rows, and a minimum. The factor below 1 loses rows,
the others repeat them.
"""
CHANGED = (0.25, 0.5, 0.4, 0.1)
"""Share of the values that are replaced by another value of the column or by one near it, per instance."""
AIMED = 0.5
"""Share of the replacements that are literals of the query or neighbours of them: at a bound, > and >= differ."""
NULLS = 0.12
"""Share of the values that become NULL if the column allows it."""

LEAST_FLAGS = 4
"""Fewest values of a column with only 0 and 1 for it to count as one of yes and no."""
DATE_FORM = "9999-99-99"

Value = int | float | str | bytes | None
Pools = tuple[list[Value], list[Value]]


@dataclass(frozen=True)
class Column:
    name: str
    key: bool
    nullable: bool


@dataclass(frozen=True)
class Table:
    name: str
    columns: list[Column]
    rows: list[tuple[Value, ...]]
    parents: dict[str, tuple[str, str]]
    """Table and column that a column refers to, by the column's name."""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def build(script: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(script)
    return connection


def tables(connection: sqlite3.Connection) -> list[Table]:
    """Reads the tables; a table comes before those that refer to it, as far as there is such an order."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    if any(sql.lstrip().upper().startswith("CREATE VIRTUAL") for _, sql in rows):
        raise ValueError("instances cannot be derived of virtual tables: give several database instances")
    found = [_read_table(connection, name) for name, _ in rows]
    done: list[Table] = []
    while found:
        waiting = {table.name for table in found}
        ready = [table for table in found if not _parents(table) & waiting]
        done += ready or found[:1]
        found = [table for table in found if table not in done]
    return done


def _parents(table: Table) -> set[str]:
    return {parent for parent, _ in table.parents.values()} - {table.name}


def _read_table(connection: sqlite3.Connection, name: str) -> Table:
    info = connection.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
    columns = [
        Column(own, bool(key), not (required or key)) for _, own, _, required, _, key, hidden in info if not hidden
    ]
    names = ", ".join(quoted(column.name) for column in columns)
    rows = connection.execute(f"SELECT {names} FROM {quoted(name)} LIMIT {MAX_ROWS}").fetchall()  # noqa: S608  quoted names
    parents = {}
    for _, _, parent, own, other, *_ in connection.execute(f"PRAGMA foreign_key_list({quoted(name)})"):
        parents[own] = (parent, other or _first_key(connection, parent))
    return Table(name, columns, rows, parents)


def _first_key(connection: sqlite3.Connection, table: str) -> str:
    """Returns the primary key's first column, which a reference that names no column refers to."""
    info = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return str(next((row[1] for row in info if row[5]), "rowid"))


def derive(script: str, number: int, literals: list[Value]) -> sqlite3.Connection:
    """Makes another instance of the same schema from the same rows."""
    rng = random.Random(number)
    base, derived = build(script), build(script)
    derived.execute("PRAGMA foreign_keys = OFF")
    later = derived.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in later:  # triggers would react to the rows that are inserted here
        derived.execute(f"DROP TRIGGER {quoted(name)}")
    found = tables(base)
    for table in found:
        derived.execute(f"DELETE FROM {quoted(table.name)}")  # noqa: S608  quoted names
    for table in found:
        _fill_table(derived, table, rng, number, literals)
    _drop_orphans(derived)
    for _, sql in later:
        derived.execute(sql)
    base.close()
    return derived


def _fill_table(
    derived: sqlite3.Connection, table: Table, rng: random.Random, number: int, literals: list[Value]
) -> None:
    if not table.rows:
        return
    factor, least = SIZES[number % len(SIZES)]
    count = max(least, round(len(table.rows) * factor))
    sources = rng.sample(table.rows, min(count, len(table.rows)))
    sources += rng.choices(table.rows, k=count - len(sources))
    rng.shuffle(sources)
    pools = [_value_pools(derived, table, place, literals) for place in range(len(table.columns))]
    insert = _insert(table)
    for source in sources:
        row = [
            _draw_value(rng, column, value, pool, CHANGED[number % len(CHANGED)], refers=column.name in table.parents)
            for column, value, pool in zip(table.columns, source, pools, strict=True)
        ]
        try:
            if not derived.execute(insert, row).rowcount:  # the key exists already: insert the row under a new one
                derived.execute(insert, _fresh_keys(derived, table, row))
        except sqlite3.Error:
            continue  # the row violates a constraint


def _insert(table: Table) -> str:
    names = ", ".join(quoted(column.name) for column in table.columns)
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT OR IGNORE INTO {quoted(table.name)} ({names}) VALUES ({marks})"  # noqa: S608  quoted names


def _fresh_keys(derived: sqlite3.Connection, table: Table, row: list[Value]) -> list[Value]:
    """Returns the row with new keys: whole-number keys that refer to nothing continue from the largest."""
    fresh = row.copy()
    for place, column in enumerate(table.columns):
        if column.key and column.name not in table.parents and isinstance(row[place], int):
            name = quoted(column.name)
            (top,) = derived.execute(f"SELECT max({name}) FROM {quoted(table.name)}").fetchone()  # noqa: S608  quoted names
            fresh[place] = int(top or 0) + 1
    return fresh


def _value_pools(derived: sqlite3.Connection, table: Table, place: int, literals: list[Value]) -> Pools:
    """Returns values for the column: the keys that it refers to, or its own values and their neighbours; and
    literals.
    """
    column = table.columns[place]
    own = list(dict.fromkeys(row[place] for row in table.rows if row[place] is not None))
    if column.name in table.parents:
        parent, key = table.parents[column.name]
        if parent == table.name:
            return own, []
        rows = derived.execute(f"SELECT {quoted(key)} FROM {quoted(parent)} WHERE {quoted(key)} IS NOT NULL")  # noqa: S608  quoted names
        return [row[0] for row in rows], []
    if column.key:
        return [], []
    if own and all(isinstance(value, int | float) for value in own):
        if _is_flag(own, [row[place] for row in table.rows]):
            return own, []
        return [*own, *_neighbours(own)], [
            *(one for one in literals if not isinstance(one, str)),
            *_neighbours(literals),
        ]
    texts = [value for value in own if isinstance(value, str)]
    return own, _aim_texts(texts, literals) if texts and len(texts) == len(own) else []


def _is_flag(own: list[Value], rows: list[Value]) -> bool:
    """Whether the column means yes or no; a 2 would not fit there."""
    return set(own) == {0, 1} and sum(value is not None for value in rows) >= LEAST_FLAGS


def _aim_texts(own: list[str], literals: list[Value]) -> list[Value]:
    """Returns texts to aim at: the literals, and longer texts that begin with them, for which = and LIKE 'a%' differ.
    If all values of the column have one form, such as dates or codes, only texts of that form: a year is not a date.
    """
    texts = [text for text in literals if isinstance(text, str)]
    years = [str(number) for number in literals if isinstance(number, int)]
    forms = {_form_of(text) for text in own}
    if len(forms) > 1 or not any(character.isdigit() for character in own[0]):
        return [*texts, *texts, *(f"{text}x" for text in texts)]
    (form,) = forms
    if not form.startswith(DATE_FORM):
        return [text for text in texts if _form_of(text) == form]
    ends = ("", "") if form == DATE_FORM else (f"{own[0][10]}00:00:00", f"{own[0][10]}23:59:59")
    days = [day for text in (*texts, *years) for day in _days_about(text)]
    return [day + end for day in days for end in dict.fromkeys(ends) if _form_of(day + end) == form]


def _days_about(text: str) -> list[str]:
    """Returns the day that a text names and its neighbours, or the bounds of the year or month that it names."""
    try:
        if re.fullmatch(r"(?:19|20)\d\d", text):
            return [f"{int(text) - 1}-12-31", f"{text}-01-01", f"{text}-12-31", f"{int(text) + 1}-01-01"]
        if re.fullmatch(r"\d{4}-\d\d", text):
            first = date.fromisoformat(f"{text}-01")
            return [first.isoformat(), (first - timedelta(days=1)).isoformat(), f"{text}-28"]
        day = date.fromisoformat(text[:10])
        return [(day + timedelta(days=step)).isoformat() for step in (0, -1, 1)]
    except (ValueError, OverflowError):
        return []


def _form_of(text: str) -> str:
    """Replaces each digit by 9 and each letter by a: `9999-99-99` for a date."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))


def _neighbours(values: list[Value]) -> list[Value]:
    return [value + step for value in values if isinstance(value, int | float) for step in (-1, 1)]


def _draw_value(
    rng: random.Random, column: Column, value: Value, pools: Pools, changed: float, *, refers: bool
) -> Value:
    own, aimed = pools
    if column.nullable and rng.random() < NULLS:
        return None
    if rng.random() < changed or (refers and value not in own):
        pool = aimed if aimed and rng.random() < AIMED else own
        return rng.choice(pool) if pool else value
    return value


def _drop_orphans(derived: sqlite3.Connection) -> None:
    while orphans := derived.execute("PRAGMA foreign_key_check").fetchall():
        removed = 0
        for name, row, *_ in orphans:
            if row is not None:
                removed += derived.execute(f"DELETE FROM {quoted(name)} WHERE rowid = ?", (row,)).rowcount  # noqa: S608  quoted names
        if not removed:  # a table without rowid cannot be repaired row by row, so it is emptied
            for name in {orphan[0] for orphan in orphans}:
                derived.execute(f"DELETE FROM {quoted(name)}")  # noqa: S608  quoted names


def backwards(source: sqlite3.Connection) -> sqlite3.Connection:
    """Copies the instance with its rows stored in reverse, so that whatever a query leaves to chance comes out
    differently.

    A table that is stored by its key is declared so that it is not: INT means INTEGER, but is not the rowid.
    """
    listed = source.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
    if any(sql.lstrip().upper().startswith("CREATE VIRTUAL") for _, _, sql in listed):
        return source
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.execute("PRAGMA foreign_keys = OFF")
    kept = [(kind, name, sql) for kind, name, sql in listed if not name.startswith("sqlite_")]
    for _, name, sql in (entry for entry in kept if entry[0] == "table"):
        _create_unkeyed(copy, sql)
        columns = _stored_columns(source, name)
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        rows = source.execute(f"SELECT {names} FROM {quoted(name)}").fetchall()  # noqa: S608  quoted names
        copy.executemany(f"INSERT INTO {quoted(name)} ({names}) VALUES ({marks})", reversed(rows))  # noqa: S608  quoted names
    for _, _, sql in (entry for entry in kept if entry[0] != "table"):
        copy.execute(sql)
    return copy


def _create_unkeyed(copy: sqlite3.Connection, sql: str) -> None:
    unkeyed = re.sub(r"\bINTEGER\b", "INT", sql, flags=re.IGNORECASE)
    unkeyed = re.sub(r"\bAUTOINCREMENT\b|,?\s*\bWITHOUT\s+ROWID\b", "", unkeyed, flags=re.IGNORECASE)
    try:
        copy.execute(unkeyed)
    except sqlite3.Error:  # the words meant something else
        copy.execute(sql)


def _stored_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Returns the columns that are not generated."""
    info = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return [row[1] for row in info if not row[6]]


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    answer: dict[str, object]
    try:
        made = [build(script) for script in asked["scripts"]]
        made += [derive(asked["scripts"][0], number, asked["literals"]) for number in range(asked["derived"])]
        both = [image for instance in made for image in (instance, backwards(instance))]
        answer = {"images": [base64.b64encode(image.serialize()).decode() for image in both]}
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
