"""The fault matrix in short: a few faults of different parts at once. `make faults` is all of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults.matrix.results import Results

KINDS = ("kill-router", "kill-selector", "drop-broker", "drop-postgres", "duplicates", "poison", "judge-garbage")
TESTS = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(600)  # a minute on two idle cores
def test_a_few_faults_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    if "KAFKA_HOME" not in os.environ:
        pytest.skip("KAFKA_HOME is not set")
    page = tmp_path / "faults.md"
    command = [sys.executable, "-m", "faults.matrix", "--kinds", ",".join(KINDS), "--each", "1", "--out", str(page)]
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    results = Results(page.with_suffix(".jsonl"))
    assert sorted(line.kind for line in results.counted) == sorted(KINDS)
    assert all(audit.finished for audit in results.audits)
