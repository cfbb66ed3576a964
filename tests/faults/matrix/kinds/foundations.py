"""Broker and Postgres: killed, hanging, away, cut off."""

import contextlib

import psutil
from faults.matrix.kinds.base import LONG, SHORT, FaultKind
from faults.matrix.proxy import Proxy
from faults.matrix.run import MatrixRun


class PartFault(FaultKind):
    part: str

    def proxy(self, run: MatrixRun) -> Proxy:
        return run.broker_proxy if self.part == "broker" else run.database_proxy


class KillPart(PartFault):
    rests = 75.0

    def inject(self, run: MatrixRun) -> None:
        tree = run.part_tree(self.part)
        if tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                tree[0].kill()


class HangPart(PartFault):
    lasts = LONG

    def inject(self, run: MatrixRun) -> None:
        self.tree = run.part_tree(self.part)
        for process in self.tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def heal(self, run: MatrixRun) -> None:
        for process in reversed(self.tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class PartAway(PartFault):
    lasts = LONG

    def inject(self, run: MatrixRun) -> None:
        self.proxy(run).shut()

    def heal(self, run: MatrixRun) -> None:
        self.proxy(run).open()


class DropConnections(PartFault):
    def inject(self, run: MatrixRun) -> None:
        self.proxy(run).drop()


class StallConnections(PartFault):
    lasts = (*SHORT, 40)

    def inject(self, run: MatrixRun) -> None:
        self.proxy(run).stall()

    def heal(self, run: MatrixRun) -> None:
        self.proxy(run).flow()


_WHAT = {
    "kill": (KillPart, "SIGKILL of the {}; the supervisor starts it again"),
    "stop": (HangPart, "SIGSTOP of the {} and its children, then SIGCONT"),
    "away": (PartAway, "the {} refuses every connection"),
    "drop": (DropConnections, "all connections to the {} are dropped at once"),
    "stall": (StallConnections, "connections to the {} stay open, and nothing passes"),
}
KINDS = [
    type(f"{word}{part}", (base,), {"name": f"{word}-{part}", "what": what.format(part), "target": part, "part": part})
    for word, (base, what) in _WHAT.items()
    for part in ("broker", "postgres")
]
