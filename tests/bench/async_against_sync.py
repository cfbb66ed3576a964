"""Asynchronous against synchronous training, by whole runs: the same command at several staleness bounds S and seeds.

    python tests/bench/async_against_sync.py OUT --steps 200 --eval-every 20 -- demo
    python tests/bench/async_against_sync.py OUT --steps 200 -- train --recipe my.toml --prompts p.jsonl ...

Runs come one after another, seed by seed, so that a machine that slows down slows all S alike; nothing else may run on
it. A run that is done is not repeated: started again, the script goes on. Weights of finished runs are removed, which
are gigabytes each, unless --keep. OUT holds the runs, results.json, results.md and curves.png. `make bench` leaves this
out: three seeds of the demo at three S, 200 steps each, take hours.

What stays equal: prompts, models, seeds, the number of steps and of groups a step, evaluations. What differs: how many
groups may be open. With S = 0 learner and engines wait for each other.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from async_results import Run, compared, default_target, draw, run_of, table
from measures import note

ROOT = Path(__file__).parents[2]
REMOVED = ("checkpoints", "versions", "fetched")


def main() -> int:
    options = parsed()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    runs, failed = [], []
    for seed in options.seeds:
        for staleness in options.staleness:
            folder = out / f"s{staleness}-seed{seed}"
            try:
                runs.append(run(folder, staleness, seed, options))
            except RunFailedError as error:
                note(str(error))
                failed.append(folder.name)
            if runs:
                write(out, runs, options.target)
    if runs:
        print((out / "results.md").read_text(), end="")
    if failed:
        note(f"failed: {', '.join(failed)}; run the same command again to repeat them")
    return 1 if failed else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--staleness", type=int, nargs="+", default=[0, 1, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--eval-every", type=int, default=20, help="versions between held-out measurements")
    parser.add_argument("--target", type=float, help="held-out score to time; by default one that every S reaches")
    parser.add_argument("--keep", action="store_true", help="keep checkpoints and versions")
    parser.add_argument("command", nargs="+", help="after --: `demo` or `train`, with its options")
    return parser.parse_args()


class RunFailedError(RuntimeError):
    """A run that did not end well; the text says where to look."""


def run(folder: Path, staleness: int, seed: int, options: argparse.Namespace) -> Run:
    latest = folder / "latest"
    if not (latest / "summary.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        note(f"{folder.name}: {options.steps} steps at S = {staleness}")
        command = command_of(folder, staleness, seed, options)
        with (folder / "output.txt").open("w") as output:
            code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        if code or not (latest / "summary.json").is_file():
            raise RunFailedError(f"{folder.name} ended with exit code {code}: see {folder / 'output.txt'}")
    if not options.keep:
        for name in REMOVED:
            shutil.rmtree(latest / name, ignore_errors=True)
    steps = [json.loads(line) for line in (latest / "steps.jsonl").read_text().splitlines()]
    return run_of(staleness, seed, json.loads((latest / "summary.json").read_text()), steps)


def command_of(folder: Path, staleness: int, seed: int, options: argparse.Namespace) -> list[str]:
    values = {
        "selector.admission.staleness": staleness,
        "learner.max_staleness": 2 * staleness + 2,  # the window's bound is 2 S + 1 at most
        "selector.max_steps": options.steps,
        "selector.max_train_seconds": 0,
        "selector.eval_every_versions": options.eval_every,
    }
    name, *rest = options.command
    command = [sys.executable, "-m", "infra.cli.main", name, "--no-screen", "--seed", str(seed)]
    command += ["--run-folder", str(folder), *rest]
    return command + [word for path, value in values.items() for word in ("--set", f"{path}={value}")]


def write(out: Path, runs: list[Run], target: float | None) -> None:
    rows = compared(runs, default_target(runs) if target is None else target)
    (out / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    (out / "results.md").write_text(table(rows))
    draw(runs, out / "curves.png")


if __name__ == "__main__":
    sys.exit(main())
