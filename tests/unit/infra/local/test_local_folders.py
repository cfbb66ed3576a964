"""Folders of runs, locks, state files and the command table."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from infra.local import run_folder
from infra.local.folder_lock import FolderLock
from infra.local.processes import LocalStackError
from infra.local.service_commands import service_specs
from infra.local.state import StackState, read_state, write_state
from infra.services import Service
from infra.settings.load import load
from infra.settings.tree import RunSettings, Settings


def settings_in(folder: Path, run_id: str = "") -> Settings:
    return Settings(run=RunSettings(id=run_id, folder=folder))


def test_runs_in_the_same_second_get_folders_of_their_own_and_latest_is_the_newest(tmp_path: Path) -> None:
    made = [run_folder.make(settings_in(tmp_path)) for _ in range(3)]
    assert len({run_id for run_id, _ in made}) == 3
    assert (tmp_path / "latest").resolve() == made[-1][1].resolve()
    assert all((folder / "logs").is_dir() for _, folder in made)


def test_a_given_id_keeps_its_folder(tmp_path: Path) -> None:
    first, second = run_folder.make(settings_in(tmp_path, "mine")), run_folder.make(settings_in(tmp_path, "mine"))
    assert first == second == ("mine", tmp_path / "mine")


@pytest.mark.parametrize("run_id", ["a/b", "../up", "a b", "x" * 49, "-x", "a.b"])
def test_an_id_that_no_topic_could_carry_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(LocalStackError, match=r"run\.id = "):
        run_folder.make(settings_in(tmp_path, run_id))
    assert list(tmp_path.iterdir()) == []


def test_written_settings_load_back_and_are_private(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "mine")
    path = run_folder.write_settings(settings, tmp_path)
    assert load(str(path)).settings == settings
    assert path.stat().st_mode & 0o077 == 0


def test_a_locked_folder_names_its_holder_and_is_free_after_release(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "data", "the data"), FolderLock(tmp_path / "data", "the data")
    first.acquire()
    first.acquire()
    with pytest.raises(
        LocalStackError, match=rf"the data in .*/data is used by another stack \(process {os.getpid()}\)"
    ):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_killed_holder_frees_the_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from infra.local.folder_lock import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1]), 'x'); lock.acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "data")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    lock = FolderLock(tmp_path / "data", "x")
    with pytest.raises(LocalStackError, match=rf"process {holder.pid}\)"):
        lock.acquire()
    holder.kill()
    holder.wait()
    lock.acquire()
    lock.release()


def state_of(pid: int, created: float) -> StackState:
    return StackState(pid=pid, created=created, run_id="r", folder="f", broker="embedded", bootstrap="b", database="d")


def test_state_round_trips_and_knows_its_process(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    mine = state_of(os.getpid(), psutil.Process().create_time())
    write_state(tmp_path, mine)
    assert read_state(tmp_path) == mine
    assert mine.process is not None
    assert msgspec.structs.replace(mine, created=mine.created - 60).process is None


def test_every_service_has_its_command_and_bounded_threads(tmp_path: Path) -> None:
    settings = Settings.model_validate({"learner": {"threads": 3}, "genrm": {"threads": 0}})
    specs = {spec.name: spec for spec in service_specs(settings, tmp_path / "settings.json")}
    assert list(specs) == list(Service)
    assert specs["rtv"].argv(9500)[-4:] == [
        "--settings-file",
        str(tmp_path / "settings.json"),
        "--metrics-port",
        "9500",
    ]
    assert specs["learner"].env["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in specs["genrm"].env
    assert specs["router"].env["OMP_NUM_THREADS"] == "1"
    assert all(spec.env["OMP_WAIT_POLICY"] == "PASSIVE" for spec in specs.values())
