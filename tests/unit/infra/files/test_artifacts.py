"""Artifacts of the preparation: complete or absent, made once, named by what they were made from."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.tiny_model import save_tiny_model

from infra.files.artifacts import artifact_name, content_hash, ensure_artifact, made_from, model_hash


def write(folder: Path) -> dict[str, Any]:
    (folder / "content").write_text("whole")
    return {"answer": 42}


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    calls = []

    def make(folder: Path) -> dict[str, Any]:
        calls.append(folder)
        return write(folder)

    first = ensure_artifact(tmp_path, "sft", {"steps": 1}, make)
    second = ensure_artifact(tmp_path, "sft", {"steps": 1}, make)
    assert len(calls) == 1
    assert (first.made, second.made) == (True, False)
    assert first.report == second.report == {"answer": 42}
    assert first.folder == second.folder
    assert second.seconds == first.seconds
    assert (second.folder / "content").read_text() == "whole"


def test_other_inputs_make_another_artifact(tmp_path: Path) -> None:
    made = {ensure_artifact(tmp_path, "sft", {"steps": steps}, write).folder for steps in (1, 2)}
    assert len(made) == 2


def test_a_kept_artifact_is_taken_only_if_it_was_made_from_the_same_inputs(tmp_path: Path) -> None:
    first = ensure_artifact(tmp_path / "first", "sft", {"steps": 1}, write)
    kept = tmp_path / "kept"
    shutil.copytree(first.folder, kept / "sft")
    assert made_from(kept / "sft") == first.folder.name == artifact_name("sft", {"steps": 1})
    assert made_from(kept / "judge") is None

    def refuse(_folder: Path) -> dict[str, Any]:
        raise AssertionError("it is kept")

    second = ensure_artifact(tmp_path / "second", "sft", {"steps": 1}, refuse, kept)
    assert (second.made, second.report, second.seconds) == (False, first.report, first.seconds)
    assert (second.folder / "content").read_text() == "whole"
    assert ensure_artifact(tmp_path / "second", "sft", {"steps": 2}, write, kept).made


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_artifact_leaves_nothing_and_is_made_later(tmp_path: Path, error: type[BaseException]) -> None:
    def stop(folder: Path) -> dict[str, Any]:
        write(folder)
        raise error

    with pytest.raises(error):
        ensure_artifact(tmp_path, "sft", {}, stop)
    assert folders(tmp_path) == []
    assert ensure_artifact(tmp_path, "sft", {}, write).made


def test_a_killed_maker_leaves_no_artifact_and_its_rest_is_cleared(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from infra.files.artifacts import ensure_artifact\n"
        "def make(folder):\n"
        "    (folder / 'content').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "ensure_artifact(Path(sys.argv[1]), 'sft', {}, make)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert len(folders(tmp_path)) == 1  # its temporary folder, under a name that is no artifact's
    found = ensure_artifact(tmp_path, "sft", {}, write)
    assert found.made
    assert folders(tmp_path) == [found.folder.name]


def test_two_that_ask_at_once_make_it_once(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()
    made = []

    def make(folder: Path) -> dict[str, Any]:
        made.append(folder)
        inside.set()
        assert go_on.wait(30)
        return write(folder)

    def ask() -> None:
        found.append(ensure_artifact(tmp_path, "sft", {}, make).folder)

    found: list[Path] = []
    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1
    assert len(set(found)) == 1


def test_the_hash_is_of_content_not_of_order() -> None:
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert content_hash({"a": [1, 2]}) != content_hash({"a": [2, 1]})
    with pytest.raises(TypeError):
        content_hash({"a": object()})


def test_a_models_hash_follows_its_weights_and_not_its_place(tmp_path: Path) -> None:
    same = [save_tiny_model(tmp_path / name, seed=1) for name in ("one", "two")]
    other = save_tiny_model(tmp_path / "three", seed=2)
    assert model_hash(same[0]) == model_hash(same[1]) != model_hash(other)
    (same[0] / "report.json").write_text("{}")
    assert model_hash(same[0]) == model_hash(same[1])
