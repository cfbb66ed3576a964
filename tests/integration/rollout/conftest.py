"""Policies of a tiny model, and for each test topics of its own."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support.rollout_loop import Loop
from support.tiny_model import save_tiny_model

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import make_producer

_runs = count()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [save_tiny_model(tmp_path_factory.mktemp(f"policy-{seed}"), seed) for seed in range(3)]


@pytest.fixture
def loop(bootstrap: str, folders: list[Path], tmp_path: Path) -> Iterator[Loop]:
    name = f"r{next(_runs)}-{time.time_ns()}"
    tree = {
        "run": {"id": name, "folder": str(tmp_path / "runs"), "prepared": str(tmp_path)},
        "topics": {"prefix": name, "partitions": 2},
        # The embedded broker joins a group in half a session.
        "broker": {"kind": "cluster", "bootstrap_servers": bootstrap, "session_timeout_seconds": 6},
        "model": {"path": str(folders[0]), "dtype": "float32"},
        "rollout": {"engine": {"max_running": 8, "max_model_tokens": 256}, "poll_policy_seconds": 0.05},
    }
    settings = Settings.model_validate(tree)
    create_topics(settings.broker, bootstrap, topic_specs(settings))
    producer = make_producer(settings.broker, bootstrap)
    loop = Loop(settings, bootstrap, producer, tmp_path)
    yield loop
    for child in loop.children:
        child.kill()
        child.wait()
    producer.close()
