"""The whole stack stops and is started again by the same command."""

from faults.matrix.kinds.base import FaultKind
from faults.matrix.run import MatrixRun


class StackRestart(FaultKind):
    name, target = "restart-stack", "stack"
    what = "Ctrl-C of the whole stack, then the same command again"
    rests = 60.0

    def inject(self, run: MatrixRun) -> None:
        self.detail = f"stopped in {run.stop_stack():.1f} s"
        run.start()


KINDS = [StackRestart]
