"""A second process of a service beside the first: started by hand, or as a replica that comes and goes."""

import signal
import subprocess

from faults.matrix.kinds.base import FaultKind
from faults.matrix.run import MatrixRun


class Second(FaultKind):
    service: str
    process: "subprocess.Popen[bytes] | None" = None

    def inject(self, run: MatrixRun) -> None:
        self.process = run.spawn(self.service, f"second-{self.service}.log")

    def heal(self, run: MatrixRun) -> None:
        if self.process is None:
            return
        self.process.send_signal(self.random.choice([signal.SIGTERM, signal.SIGKILL]))
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.detail = f"exit code {self.process.returncode}"


class TwoLearners(Second):
    name, target, service = "two-learners", "learner", "learner"
    what = "a second learner by hand; both live until one is fenced, what is left of it is ended"
    lasts = (15, 25, 40)
    rests = 75.0


class TwoSelectors(Second):
    name, target, service = "two-selectors", "selector", "selector"
    what = "a second selector by hand"
    lasts = (8, 15)


class Rebalance(Second):
    name, target, service = "rebalance", "replicas", ""
    what = "a second router, rtv, genrm, difficulty or rollout joins its group and leaves it, by SIGTERM or SIGKILL"
    lasts = (8, 12, 20)

    def inject(self, run: MatrixRun) -> None:
        self.service = self.random.choice(["router", "rtv", "genrm", "difficulty", "rollout"])
        super().inject(run)

    def heal(self, run: MatrixRun) -> None:
        super().heal(run)
        self.detail = f"{self.service}, {self.detail}"


KINDS = [TwoLearners, TwoSelectors, Rebalance]
