import errno
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from infra.files.folders import atomic_folder, remove_unfinished
from infra.files.replace import replace_file


@pytest.mark.parametrize("kind", [RuntimeError, SafetensorError])
@pytest.mark.parametrize(("free", "expected"), [(0, OSError), (2**40, None)])
def test_a_failed_write_on_a_full_disk_is_told_as_such(tmp_path, monkeypatch, kind, free, expected):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    with pytest.raises(expected or kind) as raised, atomic_folder(tmp_path / "made"):
        raise kind("iostream error")
    assert getattr(raised.value, "errno", None) == (errno.ENOSPC if expected else None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path, monkeypatch):
    seen = []
    remove = shutil.rmtree

    def watched(path, **options):
        seen.append([file.name for file in (tmp_path / "v1").iterdir()])
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "v1") as folder:
            (folder / name).write_bytes(b"1")
    assert seen == [["old"], ["old"], ["new"], ["new"]]
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_what_a_killed_writer_left_is_removed_and_what_is_whole_stays(tmp_path):
    with atomic_folder(tmp_path / "v1") as whole:
        (whole / "weights").write_bytes(b"1")
    killed = f"""
import os
from pathlib import Path
from infra.files.folders import atomic_folder
with atomic_folder(Path({str(tmp_path / "v2")!r})) as folder:
    (folder / "weights").write_bytes(b"2")
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", killed], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_a_folder_that_another_process_made_meanwhile_stays_where_that_is_asked(tmp_path):
    with atomic_folder(tmp_path / "v1", replace=False, sync=False) as mine:
        (mine / "mine").write_bytes(b"1")
        with atomic_folder(tmp_path / "v1", replace=False) as theirs:
            (theirs / "theirs").write_bytes(b"1")
    assert [file.name for file in (tmp_path / "v1").iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_a_file_is_replaced_and_keeps_its_mode_to_itself(tmp_path):
    path = tmp_path / "settings.json"
    for content in (b"old, longer", b"new"):
        replace_file(path, content, mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
