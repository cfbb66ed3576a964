"""The pure parts of the sql verifier: derived instances keep their constraints, results compare by type and value."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.verifiers.sql.compare import same_order, same_rows, same_value, tie_groups
from workers.verifiers.sql.inside_derive import SIZES, backwards, build, derive
from workers.verifiers.sql.inside_execute import answer, freeze_clock
from workers.verifiers.sql.statement import QueryError, read_answer, read_query

SHOP = """
CREATE TABLE client (
    code TEXT PRIMARY KEY, city TEXT NOT NULL CHECK (city <> 'Atlantis'), age INTEGER UNIQUE
) WITHOUT ROWID;
CREATE TABLE sale (
    id INTEGER PRIMARY KEY AUTOINCREMENT, client TEXT REFERENCES client, parent INTEGER REFERENCES sale (id),
    price REAL CHECK (price >= 0), tax REAL GENERATED ALWAYS AS (price * 0.2) STORED
);
CREATE INDEX by_price ON sale (price);
CREATE VIEW dear AS SELECT * FROM sale WHERE price > 10;
CREATE TABLE log (what TEXT);
CREATE TRIGGER noted AFTER INSERT ON sale BEGIN INSERT INTO log VALUES ('sold'); END;
INSERT INTO client VALUES ('a', 'Oslo', 20), ('b', 'Rome', 30), ('c', 'Oslo', NULL);
INSERT INTO sale (client, parent, price) VALUES ('a', NULL, 5), ('b', 1, 15), ('b', NULL, 25), (NULL, 2, NULL);
"""
VALUES = (
    st.none()
    | st.integers(-5, 5)
    | st.sampled_from([0.1, 0.2, 0.30000000000000004, 1e300])
    | st.text("ab1", max_size=2)
)


@pytest.mark.parametrize("number", range(8))
def test_a_derived_instance_keeps_every_constraint(number: int) -> None:
    with closing(derive(SHOP, number, [15, "Rome"])) as derived:
        assert not derived.execute("PRAGMA foreign_key_check").fetchall()
        assert derived.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert derived.execute("SELECT count(*) FROM sale WHERE price < 0").fetchone() == (0,)
        assert derived.execute("SELECT count(*) FROM client WHERE city IS NULL OR city = 'Atlantis'").fetchone() == (0,)
        assert derived.execute("SELECT count(*) FROM sale WHERE abs(tax - price * 0.2) > 1e-9").fetchone() == (0,)
        assert derived.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('view', 'index', 'trigger') AND sql NOT NULL"
        )
        kept = derived.execute("SELECT count(*) FROM sale").fetchone()[0]
        assert kept > 1 or number % len(SIZES) == 1  # the plan that loses rows may lose all


def test_derived_instances_are_the_same_again_and_differ_from_each_other() -> None:
    def rows(number: int) -> list[tuple[object, ...]]:
        with closing(derive(SHOP, number, [])) as derived:
            return derived.execute("SELECT * FROM sale").fetchall()

    assert rows(0) == rows(0)
    assert len({str(rows(number)) for number in range(8)}) == 8


def test_backwards_holds_the_same_rows_stored_in_reverse() -> None:
    with closing(build(SHOP)) as source, closing(backwards(source)) as copy:
        for table in ("client", "sale", "log", "dear"):
            forth = source.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 (names above)
            back = copy.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 (names above)
            assert sorted(map(str, forth)) == sorted(map(str, back))
        assert [row[0] for row in copy.execute("SELECT id, price FROM sale NOT INDEXED")] == [4, 3, 2, 1]
        assert copy.execute("SELECT typeof(id) FROM sale").fetchone() == ("integer",)


def test_a_query_sees_a_clock_that_stands_still() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        freeze_clock(connection, "2025-01-01 00:00:00")
        asked = (
            "date('now'), datetime(), CURRENT_DATE, strftime('%Y', 'now'), strftime('%Y'), date('1999-12-31', '1 day')"
        )
        row = connection.execute(
            f"SELECT {asked}, julianday('now') - julianday('2024-12-31'), unixepoch('now')"
        ).fetchone()
    assert row == ("2025-01-01", "2025-01-01 00:00:00", "2025-01-01", "2025", "2025", "2000-01-01", 1.0, 1735689600)


def test_a_written_file_is_refused_by_sqlite_itself(tmp_path, monkeypatch) -> None:
    """Not by the parser, which a query may get past."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("0.db")) as connection:
        connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    image = (tmp_path / "0.db").read_bytes()
    for query in (
        "DELETE FROM t",
        "CREATE TEMP TABLE x AS SELECT 1",
        "ATTACH 'other.db' AS other",
        "PRAGMA query_only = OFF",
        "VACUUM INTO 'copy.db'",
        "SELECT 1; SELECT 2",
        "SELECT randomblob(8)",
        "BEGIN",
    ):
        asked = {
            "query": query,
            "images": 1,
            "seconds": 5,
            "rows": 9,
            "bytes": 10_000,
            "heap": 2**26,
            "now": "2025-01-01",
        }
        assert answer(asked)["failed"] == "error", query
    assert (tmp_path / "0.db").read_bytes() == image
    assert [path.name for path in tmp_path.iterdir()] == ["0.db"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (0.1 + 0.2, 0.3, True),
        (2**53, 2**53 + 1, False),
        (1, "1", False),
        ("a", "A", False),
        (None, 0, False),
        (None, None, True),
        (b"a", "a", False),
        (0.0, -0.0, True),
        (float("inf"), float("inf"), True),
        (1.01, 1.014, False),
    ],
)
def test_which_cells_are_equal(one: object, other: object, *, same: bool) -> None:
    assert same_value(one, other) is same
    assert same_value(other, one) is same


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), st.randoms(use_true_random=False))
def test_rows_are_compared_as_a_multiset(rows: list, random) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert same_rows(rows, shuffled)
    if rows:
        assert not same_rows(rows, shuffled[:-1])
        assert not same_rows(rows, [*shuffled[:-1], ("other", "row")])


def test_ties_leave_the_order_open_and_nothing_else() -> None:
    forwards, backwards_ = [("a", 1), ("b", 1), ("a", 1), ("c", 2)], [("a", 1), ("b", 1), ("a", 1), ("c", 2)]
    ends = tie_groups(forwards, backwards_, keys_shown=True)
    assert ends == [3, 4]
    assert same_order([("a", 1), ("a", 1), ("b", 1), ("c", 2)], forwards, ends)
    assert not same_order([("c", 2), ("a", 1), ("b", 1), ("a", 1)], forwards, ends)
    assert tie_groups([(1,), (2,), (3,)], [(2,), (1,), (3,)], keys_shown=False) == [2, 3]


@pytest.mark.parametrize(
    ("text", "ordered", "shown"),
    [
        ("SELECT a FROM t", False, False),
        ("SELECT a FROM t ORDER BY a", True, True),
        ("SELECT a AS k FROM t ORDER BY k DESC", True, True),
        ("SELECT a FROM t ORDER BY b", True, False),
        ("SELECT * FROM t ORDER BY b", True, True),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", True, True),
        ("SELECT * FROM (SELECT a FROM t ORDER BY a)", False, False),
        ("WITH x AS (SELECT a FROM t ORDER BY a) SELECT a FROM x", False, False),
        ("(SELECT a FROM t ORDER BY a)", True, True),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False, False),
    ],
)
def test_order_at_the_top_level(text: str, *, ordered: bool, shown: bool) -> None:
    query = read_query(text)
    assert (query.ordered, query.keys_shown) == (ordered, shown)


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "SELECT",
                "FROM",
                "t",
                "a",
                ",",
                "(",
                ")",
                ";",
                "'",
                '"',
                "--",
                "/*",
                "*/",
                "WITH",
                "AS",
                "VALUES",
                "1",
                "*",
                "=",
                "```",
                "UNION",
            ]
        )
    ).map(" ".join)
)
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = read_answer(text)
    except QueryError:
        return
    assert query.text
