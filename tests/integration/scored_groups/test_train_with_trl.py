"""The example of infra/docs/other-learners.md: TRL trains on the log of a run."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.broker_run import RunOnBroker, run_settings
from support.messages import closed, rollout_of, ticket, verdict
from support.tiny_model import save_tiny_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL: infra/requirements/trl-beside.txt"),
]

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "infra" / "docs" / "examples" / "train_with_trl.py"


@pytest.fixture
def run(bootstrap: str, tmp_path: Path) -> Iterator[RunOnBroker]:
    run = RunOnBroker(run_settings(bootstrap), bootstrap, tmp_path)
    for seq in range(8):
        asked = ticket(seq, run_id=run.run_id)
        made = [rollout_of(asked, index, text=text) for index, text in enumerate(("4", "five"))]
        run.send(asked, *(verdict(rollout, 1.0 - rollout.index) for rollout in made))
        run.send(closed(seq, seq, run_id=run.run_id))
    run.run_folder.mkdir()
    run.write_settings().rename(run.run_folder / "settings.json")
    yield run
    run.close()


@pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_example_moves_the_weights(run: RunOnBroker, method: str, tmp_path: Path) -> None:
    model, out = save_tiny_model(tmp_path / "model", seed=0), tmp_path / "out"
    command = [sys.executable, EXAMPLE, run.run_id, "--run-folder", run.folder, "--model", model, "--out", out]
    command += ["--method", method, "--steps", "2", "--learning-rate", "1e-3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr[-4000:]
    rows = {"dpo": 8, "kto": 16}[method]
    assert f"trained 2 steps on {rows} rows" in ended.stdout
    before, after = (load_file(folder / "model.safetensors") for folder in (model, out))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(value).all() for value in after.values())
