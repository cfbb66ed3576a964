"""Mixes of questions and responses by which verdicts are timed, for each verifier.

Invariant: a mix holds what a training run sees (right and wrong, marked, in prose, bare), in plain JSON, so that
another checkout or another program can judge it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_verifiers import STEPS, mathematics

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.hostile_seeds import SCHEMA, SEEDS, TESTS
from support.verifiers import (
    choices_committed,
    choices_uncommitted,
    quantities_right,
    quantities_wrong,
)

Mix = list[dict[str, Any]]
"""Objects of verifier, prompt, ground_truth, options and response."""

UNIT_TESTS = Path(__file__).parents[1] / "unit" / "workers" / "verifiers"
SOLUTIONS = 200
LONGEST = 2000
"""Characters of a response; a longer one was made to be slow."""
BARE = {
    "math": ("5", ["5", "6", "-5", "5.0", "1/2", "x+1"]),
    "quantity": ("5 km", ["5 km", "6 km", "5000 m", "5", "5 s"]),
    "choice": ("B", ["B", "C", "(B)", "b", "B) Paris"]),
    "set": ("{1, 2}", ["{1, 2}", "1, 2", "1 and 2", "[2, 1]", "1, 2, 3"]),
    "exact": ("Paris", ["Paris", "paris.", "London", "Paris, France", "the city"]),
}
OPTIONS = {"exact": {"extract": "final"}}
OBJECT = {"type": "object", "required": ["name", "age"], "properties": {"age": {"type": "integer", "minimum": 0}}}
ADA = '{"name": "Ada", "age": 36}'
PROGRAMS = [
    "def add(a, b):\n    return a + b",
    "def add(a, b):\n    return a - b",
    "def add(a, b):\n    total = 0\n    for one in (a, b):\n        total += one\n    return total",
]
QUERIES = ["SELECT x FROM t", "SELECT x FROM t WHERE x > 1", "SELECT max(x) FROM t GROUP BY x"]


def mixes() -> dict[str, Mix]:
    """Returns them by name; `code` and `sql` run programs, the others do not."""
    found: dict[str, Mix] = {}
    for case in _recorded():
        found.setdefault(f"{case['verifier']}.cases", []).append(case)
    answers = dict(found)
    found |= {f"{name.split('.')[0]}.worked": [_worked(case) for case in mix] for name, mix in answers.items()}
    for name, (gold, responses) in BARE.items():
        found[f"{name}.bare"] = [_case(name, gold, own, **OPTIONS.get(name, {})) for own in responses] * 20
    found["exact.whole"] = [_case("exact", "Paris", own) for own in BARE["exact"][1]] * 20
    found["math.solutions"] = [
        _case("math", str(question.ground_truth), response) for question, response in mathematics(SOLUTIONS)
    ]
    found["quantity.tables"] = _table("quantity", quantities_right.RIGHT, quantities_wrong.WRONG)
    choices = [*choices_committed.COMMITTED.values(), *choices_uncommitted.UNCOMMITTED.values()]
    found["choice.tables"] = [_case("choice", "B", response) for theme in choices for response in theme]
    found["puzzle.sets"] = list(_puzzles())
    found["json"] = [
        _case("json", ADA if right else None, response, schema=OBJECT)
        for right in (True, False)
        for response in (ADA, f"```json\n{ADA}\n```", '{"name": "Bob"}', f"<answer>{ADA}</answer>", "no", ADA[:-1])
    ] * 10
    found["regex"] = [
        *(_case("regex", r"\d{4}-\d{2}-\d{2}", response) for response in ("2024-01-31", "31.1.2024", "a" * 200)),
        *(_case("regex", None, own, match=["a1"], reject=["a"]) for own in (r"\w\d", "```\n.\\d\n```", "(")),
    ] * 10
    found["instructions"] = _seeds("instructions")
    found["sentence"] = _seeds("sentence") * 10
    found["code"] = [_case("code", None, f"```python\n{own}\n```", tests=TESTS) for own in PROGRAMS] * 4
    found["sql"] = [_case("sql", "SELECT x FROM t", own, schema=SCHEMA) for own in QUERIES] * 4
    return {name: [case for case in mix if len(case["response"]) <= LONGEST] for name, mix in found.items()}


def _recorded() -> Iterator[dict[str, Any]]:
    """The tests' answers of the verifiers that read answers."""
    for file in sorted((UNIT_TESTS / "cases").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            case = json.loads(line)
            if case["scorer"] in (*BARE, "puzzle"):
                yield _case(case["scorer"], case["reference"] or None, case["response"], **case["options"])


def _puzzles() -> Iterator[dict[str, Any]]:
    for line in (UNIT_TESTS / "puzzle" / "puzzle_entries.jsonl").read_text().splitlines():
        own = json.loads(line)
        right = own["oracle"]
        options = {"dataset": own["dataset"], "entry": own["entry"]}
        for response in (right, f"<answer>{right}</answer>", f"{STEPS.format(3)}\nThe answer is: {right}", "17 or so"):
            yield _case("puzzle", own["entry"]["answer"], response, **options)


def _table(verifier: str, *tables: dict[str, list[tuple[str, str]]]) -> Mix:
    return [
        _case(verifier, gold, response)
        for table in tables
        for theme, rows in table.items()
        for gold, response in rows
        if theme != "expensive"
    ]


def _seeds(verifier: str) -> Mix:
    return [
        _case(verifier, seed.question.ground_truth, seed.response, **seed.question.options) for seed in SEEDS[verifier]
    ]


def _worked(case: dict[str, Any]) -> dict[str, Any]:
    return case | {"response": f"{STEPS.format(3)}\n{case['response']}"}


def _case(verifier: str, gold: str | None, response: str, **options: Any) -> dict[str, Any]:
    return {"verifier": verifier, "prompt": "?", "ground_truth": gold, "options": options, "response": response}
