"""Every judged set of reasoning-gym: its right answers score 1, whatever else scores 0.

puzzle_entries.jsonl holds two entries a set, drawn by reasoning-gym 0.1.25, metadata cut to what is judged by. Where
the package is installed, entries are drawn anew as well.
"""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.verifiers.puzzle_oracles import oracle

from streams.messages import Question, Status
from workers.verifiers.base import Verdict
from workers.verifiers.puzzle.catalogue import CHECKERS, ONE_ANSWER, REFUSED
from workers.verifiers.puzzle.verifier import PuzzleVerifier

SETS = sorted([*ONE_ANSWER, *CHECKERS])
RECORDED = Path(__file__).with_name("puzzle_entries.jsonl")
SEEDS = (11, 12)
DRAWN = 2
"""Entries a set and seed: all sets together take ten seconds."""
EASY = {
    "rush_hour": {"max_moves": 6},  # its right answers are searched for here
}
GARBAGE = (
    "",
    " \n ",
    "I don't know.",
    "blah 12 blah",
    "None",
    "[]x",
    "{}",
    "<answer></answer>",
    "\\boxed{}",
    "__import__('os').system('true')",
    "(lambda: 1)()",
    "9" * 5000,
    "((((" * 2000,
    "[" * 100_000,
)
installed = pytest.mark.skipif(
    find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed (extra puzzles)"
)


def judge(dataset: str, entry: Mapping[str, Any], response: str) -> Verdict:
    question = Question(
        prompt=entry["question"],
        verifier="puzzle",
        ground_truth=entry["answer"],
        options={"dataset": dataset, "entry": dict(entry)},
    )
    return PuzzleVerifier().verify(question, response)


def accepted(right: str) -> Iterator[str]:
    yield right
    yield f"<think>Is it {right}? Or 17?</think>\n{right}"
    yield f"I looked at it with care.\n<answer>{right}</answer>"
    yield f"<answer>\n{right}\n</answer>"
    yield f"Step 1. Look.\n\nSo it is \\boxed{{{right}}}."
    yield f"Let me see.\nThe answer is: {right}"
    yield f"Final answer:\n{right}"
    yield f"<answer>{right}</answer>\n\nThat is: <answer>{right}</answer>"
    yield f"```\n{right}\n```"
    yield f"<answer>{right}"  # a stop string took the end


def refused(right: str, question: str) -> Iterator[str]:
    yield from GARBAGE
    yield question
    yield f"<think>{right}</think>"
    yield f"<think>{right}"
    yield f"<answer>{right}</answer><answer>blah</answer>"
    yield f"{right} or maybe not"
    yield f"<answer>{right}</answer>, or perhaps another"
    yield f"\\boxed{{{right}}} \\boxed{{x?}}"
    yield f"\\boxed{{{right}}} and then \\boxed{{"
    yield f"blah {right} blah"


def check(dataset: str, entry: Mapping[str, Any], right: str, other: str) -> None:
    for response in accepted(right):
        verdict = judge(dataset, entry, response)
        assert (verdict.score, verdict.status) == (1.0, Status.CORRECT), (response[-300:], verdict.why)
    for response in refused(right, entry["question"]):
        verdict = judge(dataset, entry, response)
        assert verdict.score == 0.0, (response[:300], verdict)
        assert verdict.status in {Status.WRONG, Status.UNPARSEABLE}
    if judge(dataset, entry, other).score != 0.0:  # chance: a colouring may suit two graphs
        assert dataset in CHECKERS or other.split() == right.split()
    if other.split() != right.split():
        both = f"<answer>{right}</answer> <answer>{other}</answer>"
        assert judge(dataset, entry, both).score == 0.0


def recorded() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["dataset"], []).append(row)
    return found


ROWS = recorded()


def test_there_are_recorded_entries_of_every_set() -> None:
    assert sorted(ROWS) == SETS


@pytest.mark.parametrize("dataset", SETS)
def test_recorded_entries(dataset: str) -> None:
    if dataset == "word_ladder" and find_spec("reasoning_gym") is None:
        verdict = judge(dataset, ROWS[dataset][0]["entry"], "A,B")
        assert verdict.status is Status.INFRA_ERROR
        assert "rewardstream[puzzles]" in verdict.why
        return
    rights = [row["oracle"] for row in ROWS[dataset]]
    for index, row in enumerate(ROWS[dataset]):
        check(dataset, row["entry"], row["oracle"], rights[index - 1])


@pytest.mark.parametrize("dataset", SETS)
def test_answers_of_other_sets_are_wrong_not_defects(dataset: str) -> None:
    entry = ROWS[dataset][0]["entry"]
    others = [rows[0]["oracle"] for name, rows in ROWS.items() if name != dataset]
    statuses = {judge(dataset, entry, other).status for other in others}
    assert statuses <= {Status.WRONG, Status.UNPARSEABLE, Status.CORRECT} or dataset == "word_ladder"
    right = sum(judge(dataset, entry, other).score == 1.0 for other in others)
    assert right <= len(others) / 4  # `2` is the answer to many a question


@installed
@pytest.mark.parametrize("dataset", SETS)
def test_entries_drawn_anew(dataset: str) -> None:
    judged = 0
    for seed in SEEDS:
        entries = draw(dataset, seed)
        rights = [oracle(dataset, entry) for entry in entries]
        for index, (entry, right) in enumerate(zip(entries, rights, strict=True)):
            if judge(dataset, entry, right).score is None:  # a generator's defect: an empty answer, an empty capture
                assert not right.strip() or dataset == "tsumego"
                continue
            check(dataset, entry, right, rights[index - 1])
            judged += 1
    assert judged >= len(SEEDS)


@installed
def test_every_set_of_the_package_is_judged_or_refused_with_a_reason() -> None:
    sets = set(_gym("reasoning_gym.factory").DATASETS)
    assert sets == {*ONE_ANSWER, *CHECKERS, *REFUSED}
    assert len(sets) == len(ONE_ANSWER) + len(CHECKERS) + len(REFUSED)


def test_importing_the_verifier_does_not_import_the_package() -> None:
    """Its import takes seconds and 200 MB, in every verifier process."""
    import subprocess

    code = "import sys, workers.verifiers.puzzle.verifier; sys.exit('reasoning_gym' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def draw(dataset: str, seed: int) -> list[dict[str, Any]]:
    """Entries as they travel: through JSON."""
    made = _gym("reasoning_gym").create_dataset(dataset, size=DRAWN, seed=seed, **EASY.get(dataset, {}))
    return json.loads(json.dumps([made[index] for index in range(DRAWN)], default=str))


def _gym(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)
