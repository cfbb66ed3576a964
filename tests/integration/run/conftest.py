"""A run of a model that is nothing but small: every process real, a minute from start to report."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from support.tiny_judge import save_tiny_judge
from support.tiny_model import save_tiny_model
from support.waiting import wait_until

from infra.local.postgres import EmbeddedPostgres

SETTINGS = """\
[rollout.engine]
max_model_tokens = 256

[rollout.sampling]
max_new_tokens = 6

[selector]
group_size = 4
eval_samples = 2
max_steps = 2

[selector.admission]
groups_per_step = 4

[selector.preppo]
samples = 3
keep_share = 0.5

[learner]
advantage = "group"
learning_rate = 1e-4
filter_zero_variance = false
checkpoint_every = 1
batch_wait_seconds = 1

[learner.value]
kind = "none"

[broker]
kind = "embedded"
session_timeout_seconds = 6
"""


@dataclass(frozen=True)
class TinyRun:
    folder: Path
    process: subprocess.Popen[str]

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def await_(self, reached: Callable[[], bool], awaited: str, seconds: float = 150) -> None:
        def runs_and_reached() -> bool:
            assert self.process.poll() is None, self.output()
            return reached()

        wait_until(runs_and_reached, awaited, seconds=seconds, details=self.output)

    def phase_is(self, phase: str) -> bool:
        series = self.runs / "latest" / "metrics.jsonl"
        return series.is_file() and f'"phase": "{phase}"' in series.read_text()

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model, prompts of both routes and recipe."""
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder / "model", seed=0)
    save_tiny_judge(folder / "judge")
    (folder / "tiny.toml").write_text(SETTINGS)
    (folder / "train.jsonl").write_text(_rows("train", 12))
    (folder / "heldout.jsonl").write_text(_rows("heldout", 4))
    return folder


@pytest.fixture
def run_folder() -> Iterator[Path]:
    # Not below pytest's own folder: another pytest that starts closes that one to the database's user.
    with TemporaryDirectory(prefix="rewardstream-run-") as folder:
        yield Path(folder)


@pytest.fixture
def start(tiny_folder: Path, run_folder: Path) -> Iterator[Callable[..., TinyRun]]:
    """Starts `rewardstream train` on the tiny model; whatever is left of it at the end is ended."""
    started: list[TinyRun] = []

    def run(*arguments: str) -> TinyRun:
        command = train_command(tiny_folder, run_folder / "runs", *arguments)
        with (run_folder / "output.txt").open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=_environment())
        started.append(TinyRun(run_folder, process))
        return started[-1]

    yield run
    for tiny in started:
        if tiny.process.poll() is None:
            tiny.process.send_signal(signal.SIGINT)
            tiny.process.wait(20)


def train_command(tiny_folder: Path, runs: Path, *arguments: str) -> list[str]:
    """The words of `rewardstream train` on the tiny model."""
    command = [sys.executable, "-m", "infra.cli.main", "train", "--recipe", str(tiny_folder / "tiny.toml")]
    command += ["--model", str(tiny_folder / "model"), "--set", f"genrm.model={tiny_folder / 'judge'}"]
    command += ["--prompts", str(tiny_folder / "train.jsonl"), "--heldout", str(tiny_folder / "heldout.jsonl")]
    return [*command, "--run-folder", str(runs), *arguments]


@pytest.fixture(scope="session")
def run_to_end(tiny_folder: Path) -> Callable[..., None]:
    """Executes a whole run in the folder of runs."""

    def run(runs: Path, *arguments: str) -> None:
        command = train_command(tiny_folder, runs, "--no-screen", *arguments)
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400, env=_environment())
        assert ended.returncode == 0, ended.stdout + ended.stderr

    return run


@pytest.fixture(scope="session")
def finished_run(run_to_end: Callable[..., None]) -> Iterator[Path]:
    """The folder of runs with one finished run, whose Postgres is up; tests only read it."""
    with TemporaryDirectory(prefix="rewardstream-run-") as folder:
        runs = Path(folder) / "runs"
        run_to_end(runs, "--set", "selector.eval_at_end=false")
        server = EmbeddedPostgres(runs / "postgres")
        server.start()
        yield runs
        server.stop()


def _rows(split: str, count: int) -> str:
    """Half of them for a verifier, half for the judge; half of the training prompts are new."""
    rows = [
        {
            "domain": "letters" if number % 2 else "words",
            "messages": [{"role": "user", "content": f"{split} {number}: say a"}],
            "ground_truth": "a",
            "split": split,
            "origin": "new" if number % 4 > 1 and split == "train" else "original",
        }
        | ({"verifier": "exact"} if number % 2 else {})
        for number in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "KAFKA_HOME"}
