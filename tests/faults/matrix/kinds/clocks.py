"""Clocks that jump by an hour under one process."""

from faults.matrix.kinds.base import FaultKind
from faults.matrix.kinds.processes import SERVICES
from faults.matrix.run import MatrixRun

_HOUR = 3600.0


class ClockJump(FaultKind):
    lasts = (5, 10, 20, 40)
    sign: float

    def inject(self, run: MatrixRun) -> None:
        self.detail = self.service = self.random.choice(SERVICES)
        run.set_clock(self.service, self.sign * _HOUR)

    def heal(self, run: MatrixRun) -> None:
        run.set_clock(self.service, 0)


class ClockAhead(ClockJump):
    name, target, sign = "clock-ahead", "clock", 1.0
    what = "the clock of one service jumps an hour ahead, and back"


class ClockBehind(ClockJump):
    name, target, sign = "clock-behind", "clock", -1.0
    what = "the clock of one service jumps an hour back, and forth"


KINDS = [ClockAhead, ClockBehind]
