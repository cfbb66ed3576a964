"""The demo's preparation in a separate process: `python -m infra.cli.prepare_process SETTINGS_FILE RESULT_FILE`.

Invariant: it ends within seconds of being asked to. A training step is one call that handles no signal before it
returns, so a process in a step is killed; its artifacts are complete or absent.
"""

import os
import signal
import sys
import time
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

import msgspec

from infra import logs
from infra.cli.errors import CommandError, ExitCode, explain
from infra.local.interrupts import held
from infra.settings.load import load
from infra.settings.tree import Settings

if TYPE_CHECKING:
    from infra.local.processes import ChildProcess

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 3.0
"""A part of the ten seconds in which a demo stops: enough to remove unfinished artifacts, between two steps."""
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that spin while they wait would double the CPU time if anything else is running."""
_ERROR = "error: "
LOG_NAME = "prepare.log"


class PreparedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """`infra.demo.prepare.Prepared`, as it is passed between the two processes."""

    policy: str
    judge: str
    prompts: str
    heldout: str
    base_scores: dict[str, float]
    """Prompt id -> the shipped model's mean score."""
    report: dict[str, Any]


def prepare_apart(settings: Settings) -> PreparedFiles:
    """Prepares in a separate process, shows its progress, and returns the result. Raises CommandError if it failed."""
    from infra.local.processes import spawn
    from infra.local.run_folder import write_settings

    root = settings.run.prepared
    root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".prepare-", dir=root) as temporary:
        settings_file, result_file = write_settings(settings, Path(temporary)), Path(temporary) / "result.json"
        log = root / LOG_NAME
        log.write_text("", encoding="utf-8")
        argv = [sys.executable, "-m", "infra.cli.prepare_process", str(settings_file), str(result_file)]
        child: ChildProcess | None = None
        code = 0
        try:
            with held():
                child = spawn("prepare", argv, log=log, env=_ENVIRONMENT)
            with log.open(encoding="utf-8", errors="replace") as lines:
                while child.alive:
                    _echo_progress(lines)
                    time.sleep(_POLL_SECONDS)
                _echo_progress(lines)
        finally:
            if child is not None:
                code = child.terminate(_GRACE_SECONDS, signal.SIGINT)
        if code:
            raise _explain_failure(code, log)
        return msgspec.json.decode(result_file.read_bytes(), type=PreparedFiles)


def make(settings_file: Path, result_file: Path) -> None:
    """Prepares in this process, which is the separate one, and writes the result."""
    from infra.cli.progress import Steps
    from infra.demo.prepare import prepare

    settings = load(str(settings_file)).settings
    logs.set_up_command(settings.logs, "prepare", settings.run.id)
    prepared = prepare(settings, Steps())
    files = PreparedFiles(
        policy=str(prepared.policy),
        judge=str(prepared.judge),
        prompts=str(prepared.prompts),
        heldout=str(prepared.heldout),
        base_scores={prompt: fmean(scores) for prompt, scores in prepared.base_scores.items() if scores},
        report=prepared.report,
    )
    result_file.write_bytes(msgspec.json.encode(files))


def _echo_progress(lines: IO[str]) -> None:
    """Prints the indented lines, which are progress; the others stay in the log."""
    for text in lines:
        if text.startswith("  "):
            print(text, end="", flush=True)


def _explain_failure(code: int, log: Path) -> CommandError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    expected = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    if expected and code in set(ExitCode):
        return CommandError(expected[-1], ExitCode(code))
    tail = "\n".join(lines[-15:])
    return CommandError(f"the preparation ended with code {code}; the end of {log}:\n{tail}")


def main() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        make(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        code, text = explained
        print(f"{_ERROR}{text}", flush=True)
        sys.exit(code)


if __name__ == "__main__":
    main()
