"""A service marks the moment from which it works, if its supervisor asks."""

import time
from pathlib import Path

import pytest

from infra import readiness


def test_a_service_marks_when_it_has_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "learner.ready"
    assert readiness.ready_since(file) is None
    monkeypatch.delenv(readiness.READY_FILE, raising=False)
    readiness.mark_ready()
    monkeypatch.setenv(readiness.READY_FILE, str(file))
    before = time.monotonic()
    readiness.mark_ready()
    since = readiness.ready_since(file)
    assert since is not None
    assert before <= since <= time.monotonic()
    file.write_text("")
    assert readiness.ready_since(file) is None
