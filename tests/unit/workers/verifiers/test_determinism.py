"""A verdict is a function of prompt and response: fresh processes with other hashes, caches and orders agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
TEXT_SCORERS = "choice,exact,instructions,json,math,puzzle,quantity,regex,sentence,set"


def verdicts(scorers: str, order: str, hash_seed: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "support.verifiers.verdicts", scorers, order],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def lines(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    found = [sorted(process.communicate()[0].splitlines()) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(found)
    return found


def differences(runs: list[list[str]]) -> list[str]:
    return sorted({line for run in runs[1:] for line in set(run) ^ set(runs[0])})


def test_quantities_do_not_depend_on_hashes_or_on_what_was_judged_before() -> None:
    runs = lines([verdicts("quantity", "forwards", 1), verdicts("quantity", "backwards", 2)])
    assert differences(runs) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_verdict_depends_on_hashes_or_on_what_was_judged_before() -> None:
    runs = []
    for hash_seed in range(1, 5, 2):
        orders = ((hash_seed, "forwards"), (hash_seed + 1, "backwards"))
        runs += lines([verdicts(TEXT_SCORERS, order, seed) for seed, order in orders])
    assert differences(runs) == []
