"""`rewardstream evaluate` as a user runs it: every process real, a model that is nothing but small."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from support.tiny_model import save_tiny_model
from support.waiting import wait_until

from infra.db.engine import make_engine
from infra.db.models import Group
from infra.settings.load import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROMPTS = 24
SLOW = ("rollout.engine.max_running=2",)
"""A few groups in flight at a time, so that a kill finds some measured and some not."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: save_tiny_model(folder / name, seed) for seed, name in enumerate(("first", "second"))}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Half of the prompts for a verifier, half for the judge; one row is not a prompt."""
    rows: list[dict[str, object]] = [
        {
            "domain": "letters" if number % 2 else "words",
            "prompt": f"evaluate {number}: say a",
            "ground_truth": "a",
        }
        | ({"verifier": "exact", "skill": "nlp"} if number % 2 else {})
        for number in range(PROMPTS)
    ]
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"prompt": "no domain"}]))
    return path


@pytest.fixture
def command(tiny_folder: Path, run_folder: Path, sets: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `rewardstream evaluate` with its output in files; what is left of it at the end is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*models: Path | str, settings: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        words = [
            sys.executable,
            "-m",
            "infra.cli.main",
            "evaluate",
            "--recipe",
            str(tiny_folder / "tiny.toml"),
            "--json",
        ]
        words += ["--set", f"genrm.model={tiny_folder / 'judge'}", "--run-folder", str(run_folder / "runs")]
        words += ["--samples", "3", "--pass-at", "1", "--pass-at", "3"]
        words += [word for model in models for word in ("--model", str(model))]
        words += ["--sets", str(sets), *(word for setting in settings for word in ("--set", setting))]
        with (run_folder / "out.json").open("w") as out, (run_folder / "err.txt").open("w") as err:
            started.append(subprocess.Popen(words, stdout=out, stderr=err, text=True, env=_environment()))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_one_model_then_two_and_nothing_is_generated_twice(command, run_folder: Path, models, tmp_path: Path) -> None:
    assert command(models["first"]).wait(200) == 0, errors(run_folder)
    alone = summary(run_folder)
    (first,) = alone["models"]
    assert (first["missing"], first["rollouts"], first["violations"]) == (0, 3 * PROMPTS, 0)
    assert alone["sets"][0] | {"set": ""} == {"set": "", "skill": None, "prompts": PROMPTS, "set_aside": 1}
    rows = {(row["kind"], row["name"]): row for row in first["rows"]}
    assert set(rows) == {("overall", "overall"), ("skill", "nlp"), ("domain", "letters"), ("domain", "words")}
    assert rows["overall", "overall"]["prompts"] == PROMPTS
    for row in first["rows"]:
        for metric in ("avg@3", "pass@1", "pass@3"):
            low, high = row["metrics"][metric]["ci95"]
            assert 0 <= low <= row["metrics"][metric]["value"] <= high <= 1
    assert Path(alone["picture"]).read_bytes()[:4] == b"\x89PNG"
    assert not (run_folder / "runs" / "latest").exists()

    assert command(models["first"], models["second"]).wait(200) == 0, errors(run_folder)
    both = summary(run_folder)
    assert [model["rollouts"] for model in both["models"]] == [0, 3 * PROMPTS]
    assert both["models"][0]["rows"] == first["rows"]
    (overall, *_) = both["comparison"]["rows"]
    assert overall["prompts"] == PROMPTS
    difference = overall["metrics"]["avg@3"]
    assert difference["difference"] == pytest.approx(difference["second"] - difference["first"], abs=2e-4)
    assert 0 < difference["p"] <= 1

    assert command(models["second"], models["first"]).wait(200) == 0, errors(run_folder)
    back = summary(run_folder)["comparison"]["rows"][0]["metrics"]["avg@3"]
    assert (back["difference"], back["p"]) == (-difference["difference"], difference["p"])
    audits = [json.loads(path.read_text()) for path in run_folder.glob("runs/*/audit.json")]
    assert [(audit["violations"], audit["groups"]) for audit in audits] == [([], {"eval": {"filtered": PROMPTS}})] * 2


def test_a_killed_evaluation_continues_where_it_was(command, run_folder: Path, models) -> None:
    process = command(models["first"], settings=SLOW)
    wait_until(
        lambda: measured_groups(run_folder) > 2 or process.poll() is not None,
        "three measured groups",
        seconds=150,
        details=lambda: errors(run_folder),
    )
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, 20)
    assert alive == []

    assert command(models["first"], settings=SLOW).wait(200) == 0, errors(run_folder)
    (model,) = summary(run_folder)["models"]
    assert 0 < model["rollouts"] < 3 * PROMPTS
    assert (model["missing"], model["rows"][0]["prompts"]) == (0, PROMPTS)
    assert command(models["first"], settings=SLOW).wait(200) == 0, errors(run_folder)
    (again,) = summary(run_folder)["models"]
    assert (again["run"], again["rows"]) == (None, model["rows"])


def test_a_service_that_is_killed_is_started_again_and_nothing_is_lost(command, run_folder: Path, models) -> None:
    process = command(models["second"], settings=SLOW)
    killed: set[str] = set()

    def kill_each_once() -> bool:
        for child in psutil.Process(process.pid).children(recursive=True):
            name = next((word for word in ("router", "rollout", "rtv", "difficulty") if word in _words(child)), None)
            if name is not None and name not in killed and _log_says(run_folder, name, "starting"):
                killed.add(name)
                child.kill()
        return len(killed) == 4 or process.poll() is not None

    wait_until(kill_each_once, "four services to kill", seconds=150, details=lambda: errors(run_folder))
    assert process.wait(300) == 0, errors(run_folder)
    (model,) = summary(run_folder)["models"]
    assert (model["missing"], model["violations"]) == (0, 0)
    assert model["rows"][0]["prompts"] == PROMPTS


def measured_groups(run_folder: Path) -> int:
    """The number of groups that Postgres says are measured; 0 while it does not answer."""
    for file in run_folder.glob("runs/*/settings.json"):
        engine = make_engine(load(str(file)).settings.database.url)
        try:
            with engine.connect() as connection:
                return connection.scalar(select(func.count()).where(Group.outcome == "filtered")) or 0
        except SQLAlchemyError:
            return 0
        finally:
            engine.dispose()
    return 0


def _words(process: psutil.Process) -> list[str]:
    """The words of `rewardstream serve NAME`; none if it is another process, or has just ended."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return words if "serve" in words else []


def _log_says(run_folder: Path, service: str, words: str) -> bool:
    return any(words in log.read_text() for log in run_folder.glob(f"runs/*/logs/{service}.log"))


def summary(run_folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run_folder / "out.json").read_text())
    return found


def errors(run_folder: Path) -> str:
    return (run_folder / "err.txt").read_text()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "KAFKA_HOME"}
