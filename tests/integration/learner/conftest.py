"""A learner's settings on the session's broker, with a tiny policy and topics of its own."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support.learner_loop import LearnerLoop
from support.tiny_model import save_tiny_model

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import make_producer

_runs = count()


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny-policy"), seed=0)


@pytest.fixture
def loop(bootstrap: str, tiny_policy: Path, tmp_path: Path) -> Iterator[LearnerLoop]:
    name = f"learner{next(_runs)}-{time.time_ns()}"
    tree = {
        "run": {"id": name, "folder": str(tmp_path), "prepared": str(tmp_path / "prepared")},
        "topics": {"prefix": name, "partitions": 2},
        "broker": {"kind": "cluster", "bootstrap_servers": bootstrap},
        "model": {"path": str(tiny_policy), "dtype": "float32"},
        "selector": {"admission": {"groups_per_step": 2, "staleness": 1, "window_share": 0.75}},
        "learner": {
            "advantage": "group",
            "value": {"kind": "none"},
            "checkpoint_every": 2,
            "batch_wait_seconds": 0.5,
            "max_staleness": 2,
        },
    }
    settings = Settings.model_validate(tree)
    create_topics(settings.broker, bootstrap, topic_specs(settings))
    producer = make_producer(settings.broker, bootstrap)
    loop = LearnerLoop(settings, bootstrap, producer, tmp_path)
    yield loop
    for child in loop.children:
        child.kill()
        child.wait()
    producer.close()
