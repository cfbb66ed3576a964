"""Queries of other dialects mean in SQLite what they mean at home; derived rows are of their columns' types."""

import sqlite3

import pytest

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.sql import inside_derive
from workers.verifiers.sql.dialects import CASE_SENSITIVE
from workers.verifiers.sql.inside_dialect import register
from workers.verifiers.sql.statement import read_query
from workers.verifiers.sql.verifier import SqlVerifier

ROWS = """
CREATE TABLE t (d TEXT, at TEXT, a TEXT, b TEXT, n INTEGER);
INSERT INTO t VALUES ('2024-01-31', '2024-02-29 13:45:10', 'x-y', NULL, 7);
"""
ORDERS = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, placed DATE, total REAL, customer TEXT); INSERT INTO orders VALUES "
    "(1,'2024-01-05',10.0,'Ann'),(2,'2024-02-11',20.5,'Bob'),(3,'2024-02-20',7.5,'ann'),(4,'2023-12-31',99.0,'Cy');"
)


@pytest.mark.parametrize(
    ("dialect", "expression", "value"),
    [
        ("postgres", "EXTRACT(YEAR FROM d::date)", 2024),
        ("postgres", "DATE_PART('month', d::date)", 1),
        ("postgres", "EXTRACT(DOW FROM d::date)", 3),
        ("postgres", "EXTRACT(QUARTER FROM at::timestamp)", 1),
        ("postgres", "EXTRACT(HOUR FROM at)", 13),
        ("postgres", "DATE_TRUNC('month', at)", "2024-02-01"),
        ("postgres", "DATE_TRUNC('week', at)", "2024-02-26"),
        ("postgres", "DATE_TRUNC('hour', at)", "2024-02-29 13:00:00"),
        ("postgres", "TO_CHAR(at, 'YYYY-MM')", "2024-02"),
        ("postgres", "d::date + INTERVAL '1 month'", "2024-02-29"),
        ("postgres", "d::date - INTERVAL '1 day'", "2024-01-30"),
        ("postgres", "at::timestamp + INTERVAL '2 hours'", "2024-02-29 15:45:10"),
        ("postgres", "at::date - d::date", 29),
        ("postgres", "CONCAT(a, b, n)", "x-y7"),
        ("postgres", "a || b", None),
        ("postgres", "CONCAT_WS('+', a, b, n)", "x-y+7"),
        ("postgres", "LEFT(a, 1) || RIGHT(a, 1)", "xy"),
        ("postgres", "LEFT(a, -1)", "x-"),
        ("postgres", "SPLIT_PART(a, '-', 2)", "y"),
        ("postgres", "INITCAP('ann lee-o')", "Ann Lee-O"),
        ("postgres", "LPAD(n::text, 3, '0')", "007"),
        ("postgres", "RPAD('abcd', 2, 'x')", "ab"),
        ("postgres", "a ~ '^x'", 1),
        ("postgres", "a LIKE 'X%'", 0),
        ("postgres", "a ILIKE 'X%'", 1),
        ("postgres", "n / 2", 3),
        ("mysql", "YEAR(d)", 2024),
        ("mysql", "MONTH(d) * 100 + DAY(d)", 131),
        ("mysql", "DAYOFWEEK(d)", 4),
        ("mysql", "DATE_FORMAT(at, '%Y-%m')", "2024-02"),
        ("mysql", "DATE_FORMAT(at, '%M')", "February"),
        ("mysql", "MONTHNAME(d)", "January"),
        ("mysql", "DAYNAME(d)", "Wednesday"),
        ("mysql", "DATEDIFF(at, d)", 29),
        ("mysql", "DATE_ADD(d, INTERVAL 1 MONTH)", "2024-02-29"),
        ("mysql", "DATE_SUB(d, INTERVAL 1 YEAR)", "2023-01-31"),
        ("mysql", "LAST_DAY(at)", "2024-02-29"),
        ("mysql", "CONCAT(a, b)", None),
        ("mysql", "n / 2", 3.5),
        ("mysql", "IF(n > 1, 'y', 'n')", "y"),
        ("mysql", "a LIKE 'X%'", 1),
        ("mysql", "NOW() IS NOT NULL", 1),
        ("tsql", "DATEPART(month, d)", 1),
        ("tsql", "DATEADD(day, 1, d)", "2024-02-01"),
        ("tsql", "DATEDIFF(month, d, at)", 1),
        ("tsql", "ISNULL(b, 'z')", "z"),
        ("bigquery", "EXTRACT(YEAR FROM at)", 2024),
        ("bigquery", "DATE_TRUNC(d, MONTH)", "2024-01-01"),
        ("bigquery", "DATE_DIFF(at, d, DAY)", 29),
        ("snowflake", "YEAR(d)", 2024),
        ("duckdb", "date_part('year', d)", 2024),
        ("duckdb", "year(d)", 2024),
        ("postgres", "EXTRACT(YEAR FROM a)", None),
        ("mysql", "YEAR(b)", None),
    ],
)
def test_a_function_gives_what_its_dialect_says(dialect: str, expression: str, value: object) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(ROWS)
    register(connection, case_sensitive=dialect in CASE_SENSITIVE)
    query = read_query(f"SELECT {expression} FROM t", dialect)  # noqa: S608  the test's own text
    ((found,),) = connection.execute(query.text).fetchall()
    assert (type(found), found) == (type(value), value), query.text


@pytest.fixture(scope="module")
def sql() -> SqlVerifier:
    verifier = SqlVerifier()
    verifier.configure(RtvSettings())
    return verifier


def judged(sql: SqlVerifier, reference: str, response: str, dialect: str, schema: str = ORDERS) -> Verdict:
    options = {"schema": schema, "dialect": dialect}
    return sql.verify(Question(prompt="?", verifier="sql", ground_truth=reference, options=options), response)


@pytest.mark.parametrize(
    ("dialect", "reference", "response", "right"),
    [
        (
            "postgres",
            "SELECT EXTRACT(YEAR FROM placed::date) y, SUM(total) FROM orders GROUP BY 1",
            "SELECT DATE_PART('year', placed), SUM(total) FROM orders GROUP BY 1",
            True,
        ),
        (
            "postgres",
            "SELECT DATE_TRUNC('month', placed), COUNT(*) FROM orders GROUP BY 1",
            "SELECT TO_CHAR(placed, 'YYYY-MM-01'), COUNT(*) FROM orders GROUP BY 1",
            True,
        ),
        (
            "postgres",
            "SELECT id FROM orders WHERE customer ILIKE 'ann'",
            "SELECT id FROM orders WHERE LOWER(customer) = 'ann'",
            True,
        ),
        (
            "postgres",
            "SELECT id FROM orders WHERE customer ILIKE 'ann'",
            "SELECT id FROM orders WHERE customer LIKE 'ann'",
            False,
        ),
        (
            "mysql",
            "SELECT id FROM orders WHERE YEAR(placed) = 2024",
            "SELECT id FROM orders WHERE DATE_FORMAT(placed, '%Y') = '2024'",
            True,
        ),
        (
            "mysql",
            "SELECT id FROM orders WHERE YEAR(placed) = 2024",
            "SELECT id FROM orders WHERE YEAR(placed) >= 2024",
            False,
        ),
        (
            "mysql",
            "SELECT id FROM orders WHERE YEAR(placed) = 2024",
            "SELECT id FROM orders WHERE MONTH(placed) = 2",
            False,
        ),
    ],
)
def test_queries_of_a_dialect(sql: SqlVerifier, dialect: str, reference: str, response: str, *, right: bool) -> None:
    verdict = judged(sql, reference, response, dialect)
    assert verdict.status is (Status.CORRECT if right else Status.WRONG), verdict.why


def test_a_reference_that_cannot_be_translated_is_no_reward(sql: SqlVerifier) -> None:
    verdict = judged(sql, "SELECT SOUNDS_LIKE(customer) FROM orders", "SELECT 1", "postgres")
    assert (verdict.score, verdict.status) == (None, Status.INFRA_ERROR)
    assert "no such function: SOUNDS_LIKE" in verdict.why


@pytest.mark.parametrize(
    ("reference", "response", "right"),
    [
        (
            "SELECT id FROM orders WHERE STRFTIME('%Y', placed) = '2024'",
            "SELECT id FROM orders WHERE SUBSTR(placed, 1, 4) = '2024'",
            True,
        ),
        (
            "SELECT id FROM orders WHERE STRFTIME('%Y', placed) = '2024'",
            "SELECT id FROM orders WHERE placed LIKE '2024%'",
            True,
        ),
        (
            "SELECT id FROM orders WHERE STRFTIME('%Y', placed) = '2024'",
            "SELECT id FROM orders WHERE placed BETWEEN '2024-01-01' AND '2024-12-31'",
            True,
        ),
        (
            "SELECT id FROM orders WHERE STRFTIME('%Y', placed) = '2024'",
            "SELECT id FROM orders WHERE placed >= '2024-01-01'",
            False,
        ),
        (
            "SELECT id FROM orders WHERE STRFTIME('%Y', placed) = '2024'",
            "SELECT id FROM orders WHERE placed BETWEEN '2024-01-01' AND '2024-12-30'",
            False,
        ),
        (
            "SELECT id FROM orders WHERE placed > '2024-02-11'",
            "SELECT id FROM orders WHERE placed >= '2024-02-11'",
            False,
        ),
        (
            "SELECT id FROM orders WHERE placed > '2024-02-11'",
            "SELECT id FROM orders WHERE JULIANDAY(placed) > JULIANDAY('2024-02-11')",
            True,
        ),
    ],
)
def test_dates_of_derived_rows_are_dates(sql: SqlVerifier, reference: str, response: str, *, right: bool) -> None:
    verdict = judged(sql, reference, response, "sqlite")
    assert verdict.status is (Status.CORRECT if right else Status.WRONG), verdict.why


@pytest.mark.parametrize(
    ("own", "literals", "least", "form"),
    [
        (["2024-01-05", "2023-12-31"], ["2024", "%Y", "x", "2024-02-30"], {"2024-01-01", "2024-12-31"}, "9999-99-99"),
        (["2024-01-05"], ["2024-02-11", "2024-02"], {"2024-02-10", "2024-02-12", "2024-01-31"}, "9999-99-99"),
        (
            ["2024-01-05 10:00:00"],
            ["2024-02-11", "2024"],
            {"2024-02-11 00:00:00", "2024-12-31 23:59:59"},
            "9999-99-99 99:99:99",
        ),
        (["(510) 555-0100"], ["2003", "(510) 555-0199"], {"(510) 555-0199"}, "(999) 999-9999"),
        (["A1", "B2"], ["C3", "Ann", "C31"], {"C3"}, "a9"),
        (["Ann", "Bob"], ["Cy"], {"Cy", "Cyx"}, None),
        (["Ann", "R2D2"], ["2003"], {"2003", "2003x"}, None),
    ],
)
def test_texts_to_aim_at_have_the_columns_form(
    own: list[str], literals: list[str], least: set[str], form: str | None
) -> None:
    found = inside_derive._aim_texts(own, literals)
    assert least <= set(found)
    assert form is None or {inside_derive._form_of(text) for text in found} == {form}


def test_a_column_of_yes_and_no_stays_one(sql: SqlVerifier) -> None:
    rows = ",".join(f"({number},{number % 2})" for number in range(1, 9))
    schema = f"CREATE TABLE s (id INTEGER PRIMARY KEY, open INTEGER); INSERT INTO s VALUES {rows}"  # noqa: S608  numbers
    for response in ("SELECT id FROM s WHERE open <> 0", "SELECT id FROM s WHERE open"):
        assert judged(sql, "SELECT id FROM s WHERE open = 1", response, "sqlite", schema).status is Status.CORRECT
    wrong = judged(sql, "SELECT id FROM s WHERE open = 1", "SELECT id FROM s WHERE open = 0", "sqlite", schema)
    assert wrong.status is Status.WRONG
