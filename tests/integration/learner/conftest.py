"""A learner's settings on the session's broker, with a tiny policy and topics of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broker_run import run_settings
from support.learner_loop import LearnerLoop
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny-policy"), seed=0)


@pytest.fixture
def loop(bootstrap: str, tiny_policy: Path, tmp_path: Path) -> Iterator[LearnerLoop]:
    settings = run_settings(
        bootstrap,
        run={"folder": str(tmp_path), "prepared": str(tmp_path / "prepared")},
        model={"path": str(tiny_policy), "dtype": "float32"},
        selector={"admission": {"groups_per_step": 2, "staleness": 1, "window_share": 0.75}},
        learner={
            "advantage": "group",
            "value": {"kind": "none"},
            "checkpoint_every": 2,
            "batch_wait_seconds": 2.0,  # longer than any pause between two partitions of a log that is there
            "max_staleness": 2,
            "threads": 1,
        },
    )
    loop = LearnerLoop(settings, bootstrap, tmp_path)
    yield loop
    loop.close()
