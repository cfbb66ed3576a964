"""Policies of a tiny model, and for each test topics of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broker_run import run_settings
from support.rollout_loop import RolloutLoop
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [save_tiny_model(tmp_path_factory.mktemp(f"policy-{seed}"), seed) for seed in range(3)]


@pytest.fixture
def loop(bootstrap: str, folders: list[Path], tmp_path: Path) -> Iterator[RolloutLoop]:
    settings = run_settings(
        bootstrap,
        run={"folder": str(tmp_path / "runs"), "prepared": str(tmp_path)},
        model={"path": str(folders[0]), "dtype": "float32"},
        weights={"places": [str(folder) for folder in folders]},
        rollout={"engine": {"max_running": 8, "max_model_tokens": 256}, "poll_policy_seconds": 0.05},
    )
    loop = RolloutLoop(settings, bootstrap, tmp_path)
    yield loop
    loop.close()
