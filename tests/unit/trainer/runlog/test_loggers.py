"""Loggers: what they write is what was logged, and nothing of theirs stops a run."""

import json
import logging
import os
import struct
import subprocess
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.scalars import of_logged
from infra.settings.tree import Settings
from trainer.runlog import loggers as loggers_module
from trainer.runlog.loggers import Loggers, open_loggers
from trainer.runlog.names import scalars_of_evaluation
from trainer.runlog.tensorboard import TensorBoardLogger


def events(folder: Path) -> list:
    """Records of all event files: length, its checksum, the event, its checksum (TFRecord)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        raw = path.read_bytes()
        while raw:
            (length,) = struct.unpack("<Q", raw[:8])
            found.append(Event.FromString(raw[12 : 12 + length]))
            raw = raw[12 + length + 4 :]
    return found


def logged(folder: Path) -> set:
    return {(value.tag, value.simple_value, event.step) for event in events(folder) for value in event.summary.value}


def test_tensorboard_holds_what_was_logged(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    logger.log({"loss/policy": 0.5, "entropy": 2.0}, 1)
    assert logged(tmp_path) == {("loss/policy", 0.5, 1), ("entropy", 2.0, 1)}  # at once: a crash loses no step
    logger.log({"loss/policy": 0.25}, 2)
    logger.close()
    assert ("loss/policy", 0.25, 2) in logged(tmp_path)
    assert events(tmp_path)[0].file_version == "brain.Event:2"


def test_a_learner_that_resumes_tells_tensorboard_from_where(tmp_path):
    first = TensorBoardLogger(tmp_path, first_version=1)
    first.log({"entropy": 2.0}, 1)
    first.close()
    again = TensorBoardLogger(tmp_path, first_version=1)
    again.log({"entropy": 1.0}, 1)
    again.close()
    assert len(list(tmp_path.iterdir())) == 2
    starts = [event.step for event in events(tmp_path) if event.session_log.status == 1]
    assert starts == [1, 1]


def test_loggers_are_those_of_the_settings(tmp_path):
    settings = Settings.model_validate(
        {"run": {"id": "r", "folder": tmp_path}, "learner": {"loggers": ["tensorboard"]}}
    )
    loggers = open_loggers(settings, "selector")
    loggers.log(scalars_of_evaluation({"overall": 0.5, "mathematics": 0.25}), 8)
    loggers.close()
    assert logged(tmp_path / "r" / "tensorboard" / "selector") == {
        ("heldout/overall", 0.5, 8),
        ("heldout/mathematics", 0.25, 8),
    }


class Broken:
    def log(self, scalars, version):
        raise OSError("No space left on device")

    def close(self):
        raise OSError("No space left on device")


class Kept:
    def __init__(self):
        self.seen = []

    def log(self, scalars, version):
        self.seen.append((dict(scalars), version))

    def close(self):
        self.seen.append("closed")


def test_a_logger_that_fails_says_so_once_and_stops_nothing(caplog, metric_change):
    kept = Kept()
    loggers = Loggers({"broken": Broken, "kept": lambda: kept})
    with caplog.at_level(logging.ERROR):
        for version in (1, 2, 3):
            loggers.log({"entropy": 1.0}, version)
        loggers.close()
    assert metric_change("logger_failures_total", logger="broken") == 4
    assert [record.getMessage() for record in caplog.records] == [
        "logger broken: OSError: No space left on device. Training goes on; further failures are counted but not logged"
    ]
    assert kept.seen == [({"entropy": 1.0}, 1), ({"entropy": 1.0}, 2), ({"entropy": 1.0}, 3), "closed"]


def test_a_logger_whose_package_is_not_there_names_the_remedy(caplog):
    def make():
        import_module("no_such_package")

    loggers = Loggers({"absent": make})
    loggers.log({}, 1)
    loggers.close()
    assert "pip install 'rewardstream[loggers]'" in caplog.text


def test_a_logger_that_hangs_holds_nobody(monkeypatch, caplog, metric_change):
    """Such a logger is one whose server does not answer."""
    monkeypatch.setattr(loggers_module, "_CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(loggers_module, "_QUEUE", 2)
    release = threading.Event()
    loggers = Loggers({"slow": release.wait})
    for version in range(10):
        loggers.log({}, version)
    loggers.close()
    release.set()
    assert metric_change("logger_failures_total", logger="slow") >= 7
    assert "is 2 steps behind" in caplog.text


_OFFLINE = """
import json, sys
from pathlib import Path
from trainer.runlog.wandb import WandbLogger
for version in (2, 1):  # a learner that resumed
    logger = WandbLogger(Path(sys.argv[1]), "run-1", "learner", {"seed": 3})
    logger.log({"loss/policy": 0.5, "entropy": 1.0}, version)
    logger.close()
"""


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed (infra/requirements/wandb.txt)")
def test_wandb_keeps_everything_offline(tmp_path):
    """In a process of its own: wandb starts threads and a service that outlive a test."""
    command = [sys.executable, "-c", _OFFLINE, str(tmp_path)]
    environment = os.environ | {"WANDB_MODE": "offline"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    files = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    records = [record for path in files for record in wandb_records(path)]
    runs = {
        (record.run.run_id, record.run.run_group, record.run.project) for record in records if record.HasField("run")
    }
    assert runs == {("run-1-learner", "run-1", "rewardstream")}
    rows = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    assert [(row["loss/policy"], row["entropy"], row["version"]) for row in rows] == [(0.5, 1.0, 2), (0.5, 1.0, 1)]


def wandb_records(path: Path) -> list:
    """LevelDB's log format behind seven bytes: blocks of 32 KiB, parts of a checksum, a length, a kind and data."""
    from wandb.proto import wandb_internal_pb2

    raw, at, whole, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(raw):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15  # no part starts in the rest of a block
            continue
        length, kind = struct.unpack("<HB", raw[at + 4 : at + 7])
        whole += raw[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # full, last
            found.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return found


def test_every_name_of_an_evaluation_is_in_the_table():
    assert {of_logged(name).metric for name in scalars_of_evaluation({"overall": 0.5, "a domain": 0.1})} == {
        "heldout_score"
    }
