"""Injects faults into one run after another, measures each recovery, and has each run audited.

Invariant: a fault that was injected is healed, whatever happens. What a run went through is in the results before the
next one starts.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from faults.matrix.kinds.base import FaultKind
from faults.matrix.results import AuditLine, InjectionLine, Results
from faults.matrix.run import DOMAINS, MatrixRun, prepare
from kafka.errors import KafkaError

from streams.clients import DeliveryError

_TICK_SECONDS = 0.25
_NEVER_SECONDS = 240.0
"""Patience with a recovery: twice the longest that one takes while other faults go on."""
_START_SECONDS = 300.0
_DRAIN_SECONDS = 240.0
"""Patience with a run's end: open groups expire within their deadline of a minute."""


@dataclass
class OpenFault:
    kind: FaultKind
    at: float
    """When it was injected, on the clock of time.monotonic(); so are the others."""
    among: int
    heal_at: float
    healed_at: float | None = None
    seq: int | None = None
    """The newest group when it was healed."""
    ended: str = ""


@dataclass
class Matrix:
    """`wanted`: how often each kind is still to be injected."""

    results: Results
    wanted: Counter[str]
    kinds: dict[str, type[FaultKind]]
    seed: int
    overlap: int
    run_injections: int
    until: float
    keep: Path | None
    folder: Path
    lasting: int = 0
    """Seconds of each fault that lasts; 0 draws them."""
    _open: list[OpenFault] = field(default_factory=list)
    _rested: dict[str, float] = field(default_factory=dict)

    def go(self) -> None:
        prepare(self.folder)
        number = len(self.results.audits)
        while self.wanted.total() and time.monotonic() < self.until:
            apart = self._choose_apart(Random(self.seed + number))
            self._one_run(f"m{self.seed}-{number}", Random(f"{self.seed}/{number}"), apart)
            number += 1

    def _choose_apart(self, random: Random) -> str:
        """Which faults the next run gets: those of one `apart`."""
        weights: Counter[str] = Counter()
        for name, count in self.wanted.items():
            weights[self.kinds[name].apart] += count
        return random.choices(list(weights), list(weights.values()))[0]

    def _one_run(self, name: str, random: Random, apart: str) -> None:
        started = time.monotonic()
        self._open, self._rested = [], {}
        with TemporaryDirectory(prefix="rewardstream-matrix-") as folder:
            root = (self.keep or Path(folder)) / name
            root.mkdir(parents=True)
            say(f"run {name} ({apart or 'faults'}) in {root}")
            with MatrixRun(self.folder, root, name) as run:
                try:
                    await_first(run)
                    self._inject_all(run, random, apart, started)
                except KeyboardInterrupt:
                    say("interrupted: this run drains and is audited; the same command goes on with the next")
                    self.until = 0.0
                finally:
                    for fault in self._open:
                        if fault.healed_at is None:
                            fault.kind.heal(run)
                self._end(run, name, started)

    def _inject_all(self, run: MatrixRun, random: Random, apart: str, started: float) -> None:
        left, next_at = self.run_injections, time.monotonic()
        while True:
            now = time.monotonic()
            more = left > 0 and now < self.until and any(self.kinds[name].apart == apart for name in self.wanted)
            if not more and not self._open:
                return
            self._heal_due(run)
            if run.ended and not self._go_on(run):
                for fault in self._open:
                    fault.ended = run.ended.message if run.ended else ""
                    self._close(run, fault, None, started)
                return
            self._look(run, started)
            if more and now >= next_at and len(self._open) < self.overlap:
                if kind := self._choose(run, random, apart):
                    self._inject(run, kind)
                    left -= 1
                next_at = time.monotonic() + random.uniform(0.5, 4.0)
            time.sleep(_TICK_SECONDS)

    def _choose(self, run: MatrixRun, random: Random, apart: str) -> FaultKind | None:
        now = time.monotonic()
        busy = {fault.kind.target for fault in self._open}
        free = [
            name
            for name in self.wanted
            if self.kinds[name].apart == apart
            and not {self.kinds[name].target, self.kinds[name].needs} & busy
            and self._rested.get(self.kinds[name].target, 0) <= now
            and not ((self.kinds[name].ends_run or self.kinds[name].target == "stack") and busy)
        ]
        if not free or {"stack"} & busy or any(fault.kind.ends_run for fault in self._open):
            return None
        name = random.choices(free, [self.wanted[name] for name in free])[0]
        kind = self.kinds[name](random)
        if self.lasting and kind.seconds:
            kind.seconds = self.lasting
        return kind

    def _inject(self, run: MatrixRun, kind: FaultKind) -> None:
        fault = OpenFault(kind, time.monotonic(), len(self._open) + 1, 0)
        self._open.append(fault)
        self.wanted[kind.name] -= 1
        self.wanted += Counter()  # without those at 0
        try:
            kind.inject(run)
        except (KafkaError, DeliveryError, ConnectionError, OSError) as error:
            say(f"  {kind.name} could not be made: {error!r}")  # the run is in no state for it; another time then
            self._open.remove(fault)
            self.wanted[kind.name] += 1
            return
        say(f"  {kind.name}{f' for {kind.seconds} s' if kind.seconds else ''} {kind.detail}")
        fault.heal_at = time.monotonic() + kind.seconds
        self._rested[kind.target] = fault.heal_at + kind.rests

    def _heal_due(self, run: MatrixRun) -> None:
        for fault in self._open:
            if fault.healed_at is None and time.monotonic() >= fault.heal_at and not fault.kind.ends_run:
                fault.kind.heal(run)
                fault.healed_at = time.monotonic()

    def _go_on(self, run: MatrixRun) -> bool:
        """Gives the same command again if the end of the run is what a fault is meant to bring about."""
        ending = next((fault for fault in self._open if fault.kind.ends_run), None)
        if ending is None or run.ended is None:
            return False
        ending.ended = run.ended.message
        ending.kind.heal(run)
        run.stop_stack()
        run.start()
        ending.healed_at = time.monotonic()
        return True

    def _look(self, run: MatrixRun, started: float) -> None:
        seen = run.watch.seen
        for fault in list(self._open):
            since = time.monotonic() - (fault.healed_at or fault.heal_at)
            if since > _NEVER_SECONDS:
                self._close(run, fault, None, started)
            elif fault.healed_at is None or fault.healed_at > seen.at:
                continue
            elif fault.seq is None:
                fault.seq = seen.newest
            else:
                seqs = [seen.closed.get(fault.kind.domain, -1)] if fault.kind.domain else seen.closed.values()
                if max(seqs) > fault.seq:
                    self._close(run, fault, since, started)

    def _close(self, run: MatrixRun, fault: OpenFault, recovery: float | None, started: float) -> None:
        if fault.healed_at is None:
            fault.kind.heal(run)
            fault.healed_at = time.monotonic()
        self._open.remove(fault) if fault in self._open else None
        line = InjectionLine(
            run=run.id,
            kind=fault.kind.name,
            at=round(fault.at - started, 1),
            seconds=round(fault.healed_at - fault.at, 1),
            recovery=None if recovery is None else round(recovery, 2),
            among=fault.among,
            detail=fault.kind.detail,
            ended=fault.ended,
        )
        self.results.append(line)
        say(f"    {line.kind} recovered in {line.recovery} s {line.detail} {line.ended}".rstrip())

    def _end(self, run: MatrixRun, name: str, started: float) -> None:
        ended = run.ended
        finished = ended is None and run.finish(_DRAIN_SECONDS)
        error = ""
        if not finished:
            error = f"the run ended: {ended.message}" if ended else f"it did not drain in {_DRAIN_SECONDS:g} s"
        outcomes, restarts = run.outcomes(), run.restarts()
        report = run.audit()
        line = AuditLine(
            run=name,
            seed=self.seed,
            finished=bool(finished and report.get("finished")),
            seconds=round(time.monotonic() - started, 1),
            outcomes=outcomes,
            restarts=restarts,
            violations=report["violations"][:200],
            error=" | ".join(filter(None, [error, report.get("error", "")])),
            counts=report.get("counts", {}),
            unprovable=report.get("unprovable", ()),
        )
        self.results.append(line)
        kinds = Counter(violation["kind"] for violation in line.violations)
        say(f"run {name}: {line.seconds:.0f} s, {outcomes}, restarts {restarts}, {dict(kinds) or 'sound'} {line.error}")


def await_first(run: MatrixRun) -> None:
    """Returns once a group of each domain is closed."""
    deadline = time.monotonic() + _START_SECONDS
    while sum(seq >= 0 for seq in run.watch.seen.closed.values()) < len(DOMAINS):
        if run.ended or time.monotonic() > deadline:
            raise RuntimeError(f"run {run.id} did not start: {run.ended}; see {run.stack.logs}")
        time.sleep(_TICK_SECONDS)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def plan(results: Results, kinds: Sequence[str], each: int) -> Counter[str]:
    """How often each kind is still to be injected until it has been `each` times."""
    done = results.times()
    return +Counter({name: each - done.get(name, 0) for name in kinds})
