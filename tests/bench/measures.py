"""One measure of a benchmark: a line of JSON on stdout.

Invariant: stdout of a benchmark carries measures only, one JSON object a line; what it says beside goes to stderr.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil


def measure(
    name: str, value: float, unit: str, *, against: str | None = None, ratio: float | None = None, **details: Any
) -> None:
    """`ratio` is value over that of `against`, both from one run. `details`: what it was measured on."""
    compared = {} if against is None or ratio is None else {"against": against, "ratio": rounded(ratio)}
    print(json.dumps({"name": name, "value": rounded(value), "unit": unit} | compared | details), flush=True)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounded(value: float) -> float:
    """To four digits: these machines repeat no more."""
    return float(f"{value:.4g}")


def server_cpu_seconds(data_folder: Path) -> float:
    """CPU seconds that the processes of the embedded Postgres with this data folder have used, those of sessions that
    ended left out: a loaded machine changes them less than the wall's.
    """
    postmaster = psutil.Process(int((data_folder / "postmaster.pid").read_text().splitlines()[0]))
    return sum(sum(process.cpu_times()[:2]) for process in (postmaster, *postmaster.children()))


class Stopwatch:
    """Seconds since it was made: the wall's, and the CPU's of this process and of the server."""

    def __init__(self, data_folder: Path) -> None:
        self._folder = data_folder
        self._began = time.perf_counter(), time.process_time(), server_cpu_seconds(data_folder)

    def read(self) -> tuple[float, float, float]:
        now = time.perf_counter(), time.process_time(), server_cpu_seconds(self._folder)
        wall, client, server = (after - before for before, after in zip(self._began, now, strict=True))
        return wall, client, server
