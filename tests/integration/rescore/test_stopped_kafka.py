"""A run on the local Kafka of its folder: after its stack has ended, the log is read by starting that Kafka again."""

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.past_run import INSTALLED, RIGHT, WRONG, PastRun

from infra.local.broker import open_broker
from infra.local.run_folder import write_settings
from infra.settings.tree import Settings

pytestmark = pytest.mark.slow


@pytest.mark.kafka
@pytest.mark.skipif("KAFKA_HOME" not in os.environ, reason="KAFKA_HOME is not set")
def test_the_local_kafka_is_started_for_as_long_as_it_is_needed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = Settings.model_validate(
        {
            "run": {"id": "r1", "folder": str(tmp_path)},
            "topics": {"prefix": "r1", "partitions": 2},
            "broker": {"kind": "kafka"},
            "database": {"url": engine.url.render_as_string(hide_password=False)},
        }
    )
    broker = open_broker(settings.broker, tmp_path / "kafka")
    broker.start()
    try:
        past = PastRun(_at(settings, broker.bootstrap), broker.bootstrap, tmp_path)
        past.group(0, (RIGHT, WRONG), (1.0, 1.0))
        past.close()
    finally:
        broker.stop()
    (tmp_path / "r1").mkdir()
    write_settings(past.settings, tmp_path / "r1")

    assert past.rescore(monkeypatch, "--scorer", "math") == 0
    assert f"{INSTALLED} over run r1, against math@0 (2)" in capsys.readouterr().out
    assert not _listening(tmp_path / "kafka")


def _at(settings: Settings, bootstrap: str) -> Settings:
    broker = settings.broker.model_copy(update={"bootstrap_servers": bootstrap})
    return settings.model_copy(update={"broker": broker})


def _listening(folder: Path) -> bool:
    """Whether a process still has the folder's Kafka on its command line."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return any(str(folder).encode() in line for line in lines)
