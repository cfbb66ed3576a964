"""The sql verifier in the real sandbox: what it pays for, what it refuses, and what is the prompt's own fault."""

import json
from typing import Any

import pytest

from infra.settings.tree import RtvSettings, SandboxSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.sql.verifier import SqlVerifier

SCHEMA = """
CREATE TABLE dept (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE emp (
    id INTEGER PRIMARY KEY, name TEXT, salary REAL, dept_id INTEGER REFERENCES dept (id), born TEXT, photo BLOB
);
INSERT INTO dept VALUES (1, 'Sales'), (2, 'Research'), (3, 'Empty');
INSERT INTO emp VALUES
    (1, 'Ann', 100.5, 1, '1990-01-01', x'00ff'), (2, 'Bob', 80, 1, '1985-05-05', NULL),
    (3, 'Cid', 120, 2, '1999-09-09', NULL), (4, 'Dan', 80, 2, NULL, NULL), (5, 'Eve', NULL, NULL, '2000-02-02', NULL);
"""
RICH = "SELECT name FROM emp WHERE salary > 90"
SORTED = "SELECT name, salary FROM emp ORDER BY salary DESC"
COUNT = "SELECT COUNT(*) FROM emp"
MEAN = "SELECT d.name, AVG(e.salary) FROM dept d JOIN emp e ON e.dept_id = d.id GROUP BY d.id"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
CROSS = ", ".join(f"emp e{number}" for number in range(14))
NEVER = f"{ENDLESS} SELECT count(*) FROM c"  # noqa: S608 (constants)
HUGE = f"SELECT count(*) FROM {CROSS}"  # noqa: S608 (constants)
HUGE_SORTED = f"SELECT e0.name FROM {CROSS} ORDER BY e1.name"  # noqa: S608 (constants)
WIDE = f"{ENDLESS} SELECT x FROM c"  # noqa: S608 (constants)
SWELLING = """
WITH RECURSIVE c(n, x) AS (SELECT 1, 'ab' UNION ALL SELECT n + 1, x || x FROM c WHERE n < 20),
    d(n, x) AS (SELECT 1, x FROM c UNION ALL SELECT n + 1, x || n FROM d WHERE n < 9999)
SELECT group_concat(x) FROM d
"""


SECONDS = 3.0
"""Half of it for a query on all instances: fifty times what an honest one takes, and the endless ones end soon."""


@pytest.fixture(scope="module")
def verifier() -> SqlVerifier:
    found = SqlVerifier()
    found.configure(RtvSettings(sandbox=SandboxSettings(case_seconds=SECONDS)))
    return found


def judge(verifier: SqlVerifier, reference: str | None, response: str, **options: Any) -> Verdict:
    asked = {"schema": SCHEMA} | options
    return verifier.verify(Question(prompt="?", verifier="sql", ground_truth=reference, options=asked), response)


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        (RICH, RICH),
        (RICH, f"{RICH};"),
        (RICH, f"{RICH}; -- and no more"),
        (RICH, "select e.name from emp as e where e.salary > 90.0"),
        (RICH, "SELECT name FROM emp WHERE salary > 90 ORDER BY name"),
        (RICH, "WITH rich AS (SELECT * FROM emp WHERE NOT salary <= 90) SELECT name FROM rich"),
        (RICH, f"/* ; DROP TABLE emp */ {RICH} -- ; DROP TABLE emp"),
        (RICH, f"<think>```sql\nSELECT 1\n```</think>Here it is:\n```sql\n{RICH}\n```\nIt reads emp."),
        (RICH, f"```\n{RICH}\n```"),
        (RICH, f"```sql\n{RICH}\n```\nIt gives:\n```\nAnn\nCid\n```"),
        (
            RICH,
            f"```sql\n{RICH}\n```\nAgain:\n```sql\nselect name from emp where salary>90\n```".replace(
                "select", "SELECT"
            ),
        ),
        (RICH, f"<answer>{RICH}</answer>"),
        (RICH, "SELECT title FROM (SELECT name AS title, salary AS pay FROM emp) WHERE pay > 90"),
        (SORTED, SORTED),
        (SORTED, "SELECT name, salary FROM emp ORDER BY salary DESC, name"),
        (SORTED, "SELECT name, salary FROM emp ORDER BY 2 DESC, id DESC"),
        (COUNT, "SELECT COUNT(id) FROM emp"),
        (COUNT, "SELECT COUNT(*) * 1.0 FROM emp"),  # 1 equals 1.0, as SQLite has it
        (
            MEAN,
            "SELECT d.name, SUM(e.salary) / COUNT(e.salary) FROM emp e, dept d WHERE e.dept_id = d.id GROUP BY d.id",
        ),
        ("SELECT name FROM emp WHERE born < date('now')", "SELECT name FROM emp WHERE born < CURRENT_DATE"),
        ("SELECT name FROM emp WHERE born < date()", "SELECT name FROM emp WHERE born < '2025-01-01'"),
        ("SELECT photo FROM emp", "SELECT photo FROM emp WHERE 1"),
        ("SELECT name FROM emp ORDER BY salary DESC LIMIT 1", "SELECT name FROM emp ORDER BY salary DESC LIMIT 1"),
        ("SELECT MAX(salary) FROM emp", "SELECT salary FROM emp ORDER BY salary DESC LIMIT 1"),
        ("SELECT a FROM (SELECT id AS a FROM emp ORDER BY name)", "SELECT id FROM emp"),
    ],
)
def test_the_references_rows_are_right(verifier: SqlVerifier, reference: str, response: str) -> None:
    verdict = judge(verifier, reference, response)
    assert (verdict.score, verdict.status) == (1.0, Status.CORRECT), verdict.why


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        ("SELECT id FROM emp WHERE name = 'Ann'", "SELECT id FROM emp WHERE name LIKE 'Ann%'"),
        (RICH, "SELECT name FROM emp WHERE salary >= 90"),  # the same on the given rows
        (RICH, "SELECT name FROM emp WHERE salary > 91"),
        (RICH, "SELECT DISTINCT name FROM emp WHERE salary > 90"),
        (RICH, "SELECT name FROM emp WHERE salary > 90 UNION SELECT name FROM emp WHERE salary > 90"),
        (RICH, "SELECT 'Ann' UNION ALL SELECT 'Cid'"),
        (RICH, "VALUES ('Ann'), ('Cid')"),
        (RICH, "SELECT name FROM emp WHERE id IN (1, 3)"),
        (RICH, "SELECT name FROM emp WHERE salary > 90 LIMIT 2"),
        (RICH, "SELECT name, salary FROM emp WHERE salary > 90"),
        (RICH, "SELECT upper(name) FROM emp WHERE salary > 90"),
        (RICH, "SELECT name FROM nope"),
        (RICH, "SELECT salary FROM emp WHERE salary > 90"),
        ("SELECT DISTINCT name FROM emp", "SELECT name FROM emp"),
        ("SELECT name FROM emp WHERE dept_id IS NULL OR dept_id <> 1", "SELECT name FROM emp WHERE dept_id <> 1"),
        ("SELECT name, salary FROM emp", "SELECT salary, name FROM emp"),
        ("SELECT name, salary FROM emp", "SELECT name, COALESCE(salary, 0) FROM emp"),
        ("SELECT name, salary FROM emp", "SELECT name, CAST(salary AS TEXT) FROM emp"),
        (SORTED, "SELECT name, salary FROM emp"),
        (SORTED, "SELECT name, salary FROM emp ORDER BY salary"),
        (SORTED, "SELECT name, salary FROM emp ORDER BY name"),
        (SORTED, "SELECT * FROM (SELECT name, salary FROM emp ORDER BY salary DESC)"),  # promises no order
        ("SELECT name FROM emp ORDER BY name LIMIT 2", "SELECT name FROM emp LIMIT 2"),
        (COUNT, "SELECT 5"),
        (COUNT, "SELECT COUNT(salary) FROM emp"),
        (COUNT, "SELECT CAST(COUNT(*) AS TEXT) FROM emp"),
        (MEAN, "SELECT d.name, ROUND(AVG(e.salary), 2) FROM dept d JOIN emp e ON e.dept_id = d.id GROUP BY d.id"),
        (MEAN, "SELECT d.name, AVG(e.salary) FROM dept d LEFT JOIN emp e ON e.dept_id = d.id GROUP BY d.id"),
        (MEAN, "SELECT d.name, AVG(e.salary) FROM dept d JOIN emp e ON e.dept_id = d.id GROUP BY d.name"),
        ("SELECT photo FROM emp", "SELECT hex(photo) FROM emp"),
        (RICH, "SELECT name FROM emp WHERE salary > 90 AND random() IS NOT NULL"),
        (RICH, "SELECT name FROM emp WHERE salary > 90 ORDER BY random()"),
        (RICH, "SELECT load_extension('/tmp/x.so')"),
        (RICH, "SELECT * FROM pragma_table_info('emp')"),
        (RICH, "SELECT hex(zeroblob(1000000000))"),
        (RICH, WIDE),  # more rows than may come out
        (RICH, f"```sql\n{RICH}\n```\nOr:\n```sql\nSELECT name FROM emp\n```"),
        (RICH, "SELECT ?"),
    ],
)
def test_other_rows_are_wrong(verifier: SqlVerifier, reference: str, response: str) -> None:
    verdict = judge(verifier, reference, response)
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG), verdict.why


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   ",
        "-- nothing",
        "I don't know.",
        "hello",
        f"The query is {RICH}",
        f"{RICH}; DROP TABLE emp",
        f"{RICH}; {RICH}",
        "DROP TABLE emp",
        "DELETE FROM emp RETURNING name",
        "INSERT INTO emp (name) VALUES ('x') RETURNING name",
        "UPDATE emp SET name = 'x'",
        "WITH x AS (SELECT 1) DELETE FROM emp",
        "REPLACE INTO emp (id) VALUES (1)",
        "CREATE TABLE t AS SELECT 1",
        "ATTACH DATABASE '/tmp/x.db' AS x",
        "PRAGMA table_info(emp)",
        "PRAGMA writable_schema = ON",
        "VACUUM INTO '/tmp/x.db'",
        "BEGIN",
        "EXPLAIN SELECT 1",
        f"EXPLAIN QUERY PLAN {RICH}",
        f"```sql\n{RICH}",
        f"<think>{RICH}",
        f"<think>{RICH}</think>",
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "1," * 30_000 + "1",
        "SELECT 'unterminated",
        "SELECT \x00",
    ],
)
def test_what_is_not_one_query_is_unparseable(verifier: SqlVerifier, response: str) -> None:
    verdict = judge(verifier, RICH, response)
    assert (verdict.score, verdict.status) == (0.0, Status.UNPARSEABLE), verdict.why


@pytest.mark.parametrize(
    ("response", "statuses"),
    [
        (NEVER, {Status.TIMEOUT}),
        (HUGE, {Status.TIMEOUT}),
        (HUGE_SORTED, {Status.TIMEOUT, Status.OOM}),
        (SWELLING, {Status.OOM, Status.TIMEOUT, Status.WRONG}),
        ("SELECT replace(hex(zeroblob(900000)), '0', 'ab') LIKE '%a%b%a%b%a%c'", {Status.TIMEOUT, Status.WRONG}),
    ],
)
def test_bombs_end_within_their_bounds(verifier: SqlVerifier, response: str, statuses: set[Status]) -> None:
    verdict = judge(verifier, RICH, response)
    assert verdict.score == 0.0
    assert verdict.status in statuses, verdict.why


def test_a_query_bomb_leaves_the_verifier_usable(verifier: SqlVerifier) -> None:
    judge(verifier, RICH, HUGE)
    assert judge(verifier, RICH, RICH).score == 1.0


@pytest.mark.parametrize(
    ("reference", "options", "why"),
    [
        (None, {}, "no reference"),
        ("SELECT nme FROM emp", {}, "no such column: nme"),
        ("DROP TABLE emp", {}, "expected a SELECT"),
        ("SELECT name FROM emp; SELECT 1", {}, "2 statements"),
        (NEVER, {}, "time is up"),
        ("SELECT random() FROM emp", {}, "random"),
        ("SELECT 1", {}, "a constant would pass"),
        ("SELECT name FROM emp LIMIT 2", {}, "order that it leaves open"),
        (RICH, {"schema": "CREATE TABLE emp ("}, "options.schema"),
        (RICH, {"schema": "CREATE TABLE emp (name TEXT); INSERT INTO nope VALUES (1)"}, "options.schema"),
        (RICH, {"schema": ""}, "options need schema"),
        (RICH, {"schema": 5}, "options need schema"),
        (RICH, {"schema": [SCHEMA, 5]}, "options need schema"),
        (RICH, {"schema": [SCHEMA, SCHEMA]}, "a constant would pass"),
        (RICH, {"schema": "CREATE VIRTUAL TABLE emp USING fts5(name, salary)"}, "virtual tables"),
        (RICH, {"dialect": "klingon"}, "options.dialect"),
        (RICH, {"ordered": "yes"}, "options.ordered"),
        (RICH, {"columns": "any"}, "options.columns"),
        ('[[["Ann"]]]', {}, "several instances"),
        ("[[", {}, "neither a query nor JSON"),
    ],
)
def test_a_prompts_defect_is_never_a_reward(
    verifier: SqlVerifier, reference: str | None, options: dict[str, Any], why: str
) -> None:
    verdict = judge(verifier, reference, RICH, **options)
    assert (verdict.score, verdict.status) == (None, Status.INFRA_ERROR)
    assert why in verdict.why


TWO = [
    "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y');",
    "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (2, 'x'), (3, 'z'), (3, 'z');",
]


@pytest.mark.parametrize(
    ("reference", "response", "options", "score"),
    [
        ("SELECT b FROM t WHERE a > 1", "SELECT b FROM t WHERE a >= 2", {}, 1),  # the given instances only
        ("SELECT b FROM t WHERE a > 1", "SELECT 'y'", {}, 0),
        ('[[["y"]], [["x"], ["z"], ["z"]]]', "SELECT b FROM t WHERE a > 1", {}, 1),
        ('[[["y"]], [["z"], ["x"], ["z"]]]', "SELECT b FROM t WHERE a > 1", {}, 1),
        ('[[["y"]], [["z"], ["x"]]]', "SELECT b FROM t WHERE a > 1", {}, 0),
        ("[[[3]], [[8.0]]]", "SELECT SUM(a) FROM t", {}, 1),
        ('[[["3"]], [["8"]]]', "SELECT SUM(a) FROM t", {}, 0),
        ("SELECT b FROM t ORDER BY a", "SELECT b FROM t", {}, 0),
        ("SELECT b FROM t ORDER BY a", "SELECT b FROM t", {"ordered": False}, 1),
        ("SELECT a AS k FROM t", "SELECT a FROM t", {}, 1),
        ("SELECT a AS k FROM t", "SELECT a FROM t", {"columns": "names"}, 0),
        ("SELECT a AS k FROM t", "SELECT a AS K FROM t", {"columns": "names"}, 1),
        ("SELECT TOP 1 a FROM t ORDER BY a", "SELECT TOP 1 [a] FROM t ORDER BY a ASC", {"dialect": "tsql"}, 1),
        ("SELECT a FROM t WHERE b ILIKE 'X'", "SELECT a FROM t WHERE b = 'x'", {"dialect": "postgres"}, 1),
    ],
)
def test_given_instances_and_options(
    verifier: SqlVerifier, reference: str, response: str, options: dict[str, Any], score: float
) -> None:
    verdict = judge(verifier, reference, response, **({"schema": TWO} | options))
    assert verdict.score == score, verdict.why


def test_the_right_rows_are_not_where_the_query_runs(verifier: SqlVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte that goes into the response's run is looked at."""
    assert verifier._databases is not None
    sandbox = verifier._databases._sandbox
    seen: list[bytes] = []
    run = sandbox.run

    def watched(program: Any, limits: Any) -> Any:
        seen.append(program.stdin + b"".join(program.files.values()) + program.source.encode())
        return run(program, limits)

    monkeypatch.setattr(sandbox, "run", watched)
    reference = "SELECT 'se' || 'cret' || a FROM t"
    assert judge(verifier, reference, "SELECT b FROM t", schema=TWO).score == 0.0
    *_, last = seen
    assert b"SELECT b FROM t" in last
    assert b"secret" not in last
    assert b"'cret'" not in last


def test_a_verdict_is_the_same_again(verifier: SqlVerifier) -> None:
    again = SqlVerifier()
    again.configure(RtvSettings(sandbox=SandboxSettings(case_seconds=SECONDS)))
    for response in (RICH, "SELECT name FROM emp WHERE salary >= 90"):
        assert judge(verifier, RICH, response).why == judge(again, RICH, response).why


def test_options_survive_json() -> None:
    assert json.loads(json.dumps(dict(SqlVerifier.options))) == SqlVerifier.options
