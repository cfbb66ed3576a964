"""All benchmarks, or those whose file names hold one of the arguments: `python tests/bench/run.py [NAME ...]`.

Prints each measure as it comes and writes all of them to runs/bench.json. A benchmark that fails is named at the end,
and the exit code is 1; the measures of the others are kept. Measures of an earlier run that were not taken again stay.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measures import note

HERE = Path(__file__).parent
BY_NAME = ("against_trl.py",)
"""Run only when named: it makes an environment of its own."""
RESULTS = HERE.parents[1] / "runs" / "bench.json"
SECONDS = 900
"""The longest benchmark takes three minutes on two cores."""


def main(names: list[str]) -> int:
    files = sorted(HERE.glob("bench_*.py"))
    if names:
        files = [f for f in (*files, *(HERE / name for name in BY_NAME)) if any(name in f.name for name in names)]
    if not files:
        note(f"no benchmark's file name holds any of {', '.join(names)}")
        return 2
    failed = []
    for file in files:
        note(f"== {file.relative_to(HERE.parents[1])}")
        found = []
        code = run_one(file, found)
        save(found)
        if code:
            failed.append(f"{file.name} (exit code {code})")
    if failed:
        note(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def run_one(file: Path, found: list[dict[str, Any]]) -> int:
    """Runs it, printing its measures and adding them to `found`; its exit code."""
    process = subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, text=True)
    try:
        for measure in measures(process):
            print(json.dumps(measure), flush=True)
            found.append(measure)
        return process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()


def measures(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            yield json.loads(line)
        except ValueError:
            note(line.rstrip())


def save(found: list[dict[str, Any]]) -> None:
    earlier = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    taken = {measure["name"] for measure in found}
    kept = [measure for measure in earlier if measure["name"] not in taken]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(sorted(kept + found, key=lambda measure: measure["name"]), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
