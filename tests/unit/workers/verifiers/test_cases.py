"""Answers from public bug reports and of real models, each with the verdict of a careful person and the reason.

`cases/*.jsonl` has one a line: id, scorer, reference, prompt, response, options, expect (the score), why.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings.tree import RtvSettings
from streams.messages import Question
from workers.verifiers.base import Configured
from workers.verifiers.registry import load_verifier

FOLDER = Path(__file__).parent / "cases"
CASES: list[dict[str, Any]] = [
    json.loads(line) for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text().splitlines()
]
NOT_YET = frozenset((FOLDER / "not_yet.txt").read_text().split())
"""Ids whose verdict is not yet the right one. A case that comes out right must leave this list."""


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    for name in {case["scorer"] for case in CASES}:
        verifier = load_verifier(name)
        if isinstance(verifier, Configured):
            verifier.configure(RtvSettings())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_verdict_is_a_careful_persons(case: dict[str, Any]) -> None:
    question = Question(
        prompt=case["prompt"],
        verifier=case["scorer"],
        ground_truth=case["reference"] or None,
        options=case["options"],
    )
    verdict = load_verifier(case["scorer"]).verify(question, case["response"])
    right = verdict.score == case["expect"]
    assert right != (case["id"] in NOT_YET), f"{verdict.status}: {verdict.why}; expected because: {case['why']}"


def test_no_listed_case_is_unknown() -> None:
    assert {case["id"] for case in CASES} >= NOT_YET
