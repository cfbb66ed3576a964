"""A learner at a tenth of its speed: the memory of every process over time, and how long the stack takes to stop.

The learner is stopped for nine tenths of each second. What it cannot take must wait in the log, not in memory.
"""

import contextlib
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from faults.matrix.driver import await_first, say
from faults.matrix.kinds.processes import SERVICES
from faults.matrix.run import MatrixRun, prepare

_CYCLE_SECONDS = 1.0
_STOPPED_SHARE = 0.9
_SAMPLE_SECONDS = 5.0
_WARM_SECONDS = 60.0
"""Libraries load, and caches fill, with the first records."""
FLAT = 0.10
STOP_SECONDS = 15.0


@dataclass
class Soak:
    minutes: float
    folder: Path
    samples: dict[str, list[float]] = field(default_factory=dict)
    """MiB by process, one each few seconds."""
    stop_seconds: float = 0.0
    groups: int = 0

    def go(self) -> None:
        prepare(self.folder)
        with TemporaryDirectory(prefix="rewardstream-soak-") as root, MatrixRun(self.folder, Path(root), "soak") as run:
            await_first(run)
            say(f"the learner goes at a tenth of its speed for {self.minutes:g} minutes")
            self._slow_down(run, time.monotonic() + self.minutes * 60)
            self.groups = sum(run.outcomes().values())
            self.stop_seconds = run.stop_stack()

    @property
    def growths(self) -> dict[str, tuple[float, float, float]]:
        """MiB at the beginning and at the end (medians of a fifth of the samples each), and the growth as a share."""
        found = {}
        for name, values in self.samples.items():
            kept = values[int(_WARM_SECONDS / _SAMPLE_SECONDS) :] or values
            fifth = max(1, len(kept) // 5)
            first, last = statistics.median(kept[:fifth]), statistics.median(kept[-fifth:])
            found[name] = first, last, last / first - 1
        return found

    @property
    def sound(self) -> bool:
        return self.stop_seconds <= STOP_SECONDS and all(growth <= FLAT for _, _, growth in self.growths.values())

    def table(self) -> str:
        rows = [
            f"| {name} | {first:.0f} | {last:.0f} | {growth:+.1%} |"
            for name, (first, last, growth) in self.growths.items()
        ]
        return "\n".join(
            [
                "# The soak",
                "",
                f"`make faults ARGS='--soak {self.minutes:g}'`: the learner is stopped for nine tenths of each second,",
                f"for {self.minutes:g} minutes, in which {self.groups} groups were dispatched. Memory is resident,",
                "as medians of the first and the last fifth after a minute. The table is as it came out. SIGTERM",
                f"stopped the whole stack within {self.stop_seconds:.1f} s.",
                "",
                "| process | MiB at the beginning | MiB at the end | growth |",
                "| --- | ---: | ---: | ---: |",
                *rows,
                "",
            ]
        )

    def _slow_down(self, run: MatrixRun, until: float) -> None:
        sample_at = time.monotonic()
        while (now := time.monotonic()) < until and not run.ended:
            pid = run.pid("learner")
            with contextlib.suppress(psutil.NoSuchProcess):
                learner = psutil.Process(pid) if pid else None
                if learner is not None:
                    learner.suspend()
                time.sleep(_CYCLE_SECONDS * _STOPPED_SHARE)
                if learner is not None:
                    learner.resume()
            time.sleep(_CYCLE_SECONDS * (1 - _STOPPED_SHARE))
            if now >= sample_at:
                sample_at = now + _SAMPLE_SECONDS
                self._sample(run)

    def _sample(self, run: MatrixRun) -> None:
        for service in SERVICES:
            if (pid := run.pid(service)) is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._add(service, [psutil.Process(pid)])
        for part in ("broker", "postgres"):
            self._add(part, run.part_tree(part)[:1])

    def _add(self, name: str, processes: list[psutil.Process]) -> None:
        used = sum(process.memory_info().rss for process in processes)
        self.samples.setdefault(name, []).append(used / 2**20)
