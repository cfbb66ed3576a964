"""The selector's process is killed again and again while a run goes on: no group is lost, none comes twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from infra.db.models import Run
from trainer.audit.audit import audit_run
from trainer.curriculum.runs import Phase

KILLS = 4
_LIMIT_SECONDS = 100.0
"""Ends a test that hangs; asserts nothing."""


def spawn(folder: Path, settings) -> subprocess.Popen[bytes]:
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    serve = "from infra.cli.main import main; main()"
    argv = [sys.executable, "-c", serve, "serve", "selector", "--settings-file", str(file), "--metrics-port", "0"]
    with (folder / "selector.log").open("ab") as log:
        return subprocess.Popen(argv, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def phase_of(engine) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(select(Run.phase))


@pytest.mark.slow
def test_killed_at_any_moment(make_loop, engine, prompts, tmp_path):
    loop = make_loop(max_steps=12, poll_seconds=0.02)
    rng = random.Random(7)
    loop.peer.start_lineage()
    process, kills = spawn(tmp_path, loop.settings), 0
    limit = time.monotonic() + _LIMIT_SECONDS
    next_kill = len(loop.groups()) + 1
    try:
        while phase_of(engine) != Phase.FINISHED and time.monotonic() < limit:
            loop.peer.work()
            if phase_of(engine) == Phase.DRAIN:
                loop.peer.finish_short()
            if kills < KILLS and len(loop.groups()) >= next_kill:
                time.sleep(rng.random() * 0.05)  # any moment of a round, not always the same
                process.kill()
                process.wait()
                kills += 1
                next_kill = len(loop.groups()) + rng.randint(2, 12)
                process = spawn(tmp_path, loop.settings)
        assert process.wait(timeout=20) == 0, (tmp_path / "selector.log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert kills == KILLS
    groups = loop.groups()
    assert [group.seq for group in groups] == list(range(len(groups)))
    assert all(group.outcome is not None for group in groups)
    assert loop.peer.most_open <= 4
    report = audit_run(loop.settings, loop.bootstrap, engine)
    assert report.violations == []
    assert report.groups["train"] == {"trained": 24}


def test_asked_to_stop_it_stops_with_zero(make_loop, prompts, engine, tmp_path):
    loop = make_loop()
    loop.peer.start_lineage()
    process = spawn(tmp_path, loop.settings)
    try:
        limit = time.monotonic() + _LIMIT_SECONDS
        while not loop.groups() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0, (tmp_path / "selector.log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert phase_of(engine) == Phase.EVAL_BEFORE
