"""The judge's server: down, hanging, or answering nonsense."""

from faults.matrix.kinds.base import SHORT, FaultKind
from faults.matrix.run import MatrixRun
from support.judge_server import NONSENSE


class JudgeFault(FaultKind):
    target = "judge"
    domain = "words"
    lasts = (*SHORT, 40)

    def modes(self) -> list[str]:
        return ["well"]

    def inject(self, run: MatrixRun) -> None:
        run.judge.released.clear()
        self.detail = run.judge.mode = self.random.choice(self.modes())

    def heal(self, run: MatrixRun) -> None:
        run.judge.mode = "well"
        run.judge.released.set()


class JudgeDown(JudgeFault):
    name, what = "judge-down", "nothing listens at the judge's address"

    def inject(self, run: MatrixRun) -> None:
        run.judge_down()

    def heal(self, run: MatrixRun) -> None:
        run.judge_up()


class JudgeHangs(JudgeFault):
    name, what = "judge-hangs", "the judge takes requests and answers late, byte by byte, or not at all"

    def modes(self) -> list[str]:
        return ["hang", "drip"]


class JudgeGarbage(JudgeFault):
    name, what = "judge-garbage", "the judge answers HTML, another shape, absurd numbers, 404, 429, 500 or 503"

    def modes(self) -> list[str]:
        return [*NONSENSE, "404", "429", "500", "503"]


KINDS = [JudgeDown, JudgeHangs, JudgeGarbage]
