"""The whole command with tiny models: a stack of its own, real workers and stages, and nothing left to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tiny_model import save_tiny_model
from transformers import AutoModelForSequenceClassification

from workers.models.chat import load_tokenizer


def rewardstream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    policy, reward_model = save_tiny_model(tmp_path / "policy", seed=1), tmp_path / "rm"
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1).save_pretrained(reward_model)
    load_tokenizer(policy).save_pretrained(reward_model)
    return policy, reward_model


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_references_are_picked_through_real_services_and_then_known(tmp_path: Path, models, engine) -> None:
    policy, reward_model = models
    database = engine.url.render_as_string(hide_password=False)
    runs = ("--run-folder", str(tmp_path / "runs"), "--database-url", database)
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"domain": "writing", "prompt": f"Write {number}."} for number in range(3)]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingested = rewardstream("prompts", "ingest", str(prompts), *runs)
    assert ingested.returncode == 0, ingested.stderr
    pick = (
        *("prompts", "references", "--reward-model", str(reward_model), "--model", str(policy), "--samples", "3"),
        *("--keep", "2", *runs, "--json", "--set", "model.dtype=float32", "--set", "broker.kind=embedded"),
        *("--set", "rollout.sampling.max_new_tokens=12", "--set", "genrm.dtype=float32"),
    )
    first = rewardstream(*pick)
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert (found["prompts"], found["picked"], found["violations"]) == (3, 3, 0)
    again = rewardstream(*pick)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["prompts"] == 0
    assert "every prompt has something to be judged by" in again.stderr
    assert not (tmp_path / "runs" / "latest").exists()


@pytest.mark.slow
def test_a_language_model_is_refused_before_anything_starts(tmp_path: Path, models) -> None:
    policy, _ = models
    refused = rewardstream(
        "prompts", "references", "--reward-model", str(policy), "--run-folder", str(tmp_path / "runs")
    )
    assert refused.returncode == 2, refused.stderr
    assert "rm train-bt" in refused.stderr
