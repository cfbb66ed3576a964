"""The pool judges with verifiers of an installed package, and kills what a verifier cannot end itself."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.settings.tree import RtvSettings
from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import VerifierPool

EXAMPLE = Path(__file__).parents[3] / "workers" / "verifiers" / "example"
Judge = Callable[[Question, str], Verdict]


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """A pool whose processes see the example package, installed by pip as a user's would be."""
    source, site = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True, timeout=100)
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        pool = VerifierPool(RtvSettings(timeout_seconds=3.0))
        yield lambda question, response: runner.run(pool.verify(question, response))
        runner.run(pool.close())


def test_the_example_judges_through_the_pool(verify: Judge) -> None:
    question = Question(prompt="Write a palindrome.", verifier="palindrome", options={"min_letters": 4})
    verdicts = [verify(question, response) for response in ("Never odd or even.", "Never.", "wow")]
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 0.0]
    assert [verdict.status for verdict in verdicts] == [Status.CORRECT, Status.WRONG, Status.UNPARSEABLE]
    assert {(verdict.scorer, verdict.version) for verdict in verdicts} == {("palindrome", "1")}


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (Question(prompt="?", verifier="choice", ground_truth="B"), "The answer is B.", "A or B"),
        (Question(prompt="?", verifier="quantity", ground_truth="5 m/s"), "18 km/h", "5 m"),
        (Question(prompt="?", verifier="set", ground_truth="[1, 2]"), "{2, 1}", "{1}"),
        (Question(prompt="?", verifier="exact", ground_truth="Paris"), "paris.", "London"),
        (Question(prompt="?", verifier="json", options={"schema": {"type": "array"}}), "[1]", "{}"),
        (Question(prompt="?", verifier="regex", ground_truth="a+"), "aaa", "b"),
    ],
    ids=lambda value: value.verifier if isinstance(value, Question) else value,
)
def test_text_verifiers_judge_through_the_pool(verify: Judge, question: Question, right: str, wrong: str) -> None:
    assert [verify(question, response).score for response in (right, wrong)] == [1.0, 0.0]


DOUBLING = {"$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}}
"""A schema that is checked 2^40 times."""


def test_a_schema_whose_check_does_not_end_is_killed(verify: Judge) -> None:
    question = Question(prompt="?", verifier="json", options={"schema": {**DOUBLING, "$ref": "#/$defs/d0"}})
    assert verify(question, "1").status is Status.TIMEOUT
    harmless = Question(prompt="?", verifier="json", options={"schema": {**DOUBLING, "$ref": "#/$defs/d38"}})
    assert verify(harmless, "1").score == 1.0
