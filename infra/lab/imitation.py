"""More supervised fitting in place of PPO, for as long as a PPO run took.

Invariant: the fit starts where PPO starts, and gets as many steps as the PPO run's CPU seconds pay for at the rate of
the start's own fit. It is measured as a PPO run is: through the stream, on the same held-out prompts.
"""

import json
from enum import StrEnum
from itertools import islice
from pathlib import Path

import msgspec

from infra.files.artifacts import REPORT
from infra.lab.policy import StartSettings, examples
from infra.lab.pool import PromptFiles
from infra.lab.results import LabRun
from infra.lab.run import execute
from infra.settings.load import with_changes
from infra.settings.tree import Settings

BATCH = 64
LEARNING_RATE = 5e-4
"""A quarter of the peak of the start's own fit, whose cosine ended at a tenth of it."""
_OTHER_EXAMPLES = 1000
"""Added to the seed, so that no example of the start is repeated."""
_AT_ONCE = 1e-6
"""Seconds of training: the run measures twice, and trains on nothing."""


class Answers(StrEnum):
    START = "start"
    """More examples like those of the start, short cuts included."""
    REFERENCES = "references"
    """The references of the prompts that PPO trains on, wrong ones included."""


def imitate(
    settings: Settings, prompts: PromptFiles, answers: Answers, ppo: LabRun, *, arm: str, digest: str
) -> LabRun:
    """Fits for the CPU time of `ppo`, a run of the same seed. Raises what a fit and a run raise."""
    from trainer.supervised.fit import FitSettings
    from trainer.supervised.sft import SFTExample, SftSettings, run_sft

    start, seed = Path(settings.model.path), settings.run.seed
    steps = affordable_steps(start, ppo.cpu_seconds)
    pairs = _pairs(answers, prompts, steps, seed)
    out = settings.run.folder / settings.run.id / "imitated"
    fit = FitSettings(steps=steps, learning_rate=LEARNING_RATE, warmup_steps=20, autocast=False)
    rows = [SFTExample(({"role": "user", "content": prompt},), answer) for prompt, answer in pairs]
    fitted = run_sft(start, rows, out, SftSettings(fit=fit, batch=BATCH, seed=seed))
    untrained = with_changes(settings, model={"path": str(out)})
    untrained = with_changes(untrained, selector={"max_train_seconds": _AT_ONCE})
    measured = execute(untrained, prompts, arm=arm, seed=seed, digest=digest)
    points = [msgspec.structs.replace(point, seconds=fitted.seconds) for point in measured.curve]
    return msgspec.structs.replace(
        measured, curve=[ppo.curve[0], *points], seconds=fitted.seconds, cpu_seconds=fitted.cpu_seconds
    )


def affordable_steps(start: Path, cpu_seconds: float) -> int:
    """Steps of a fit that take that long, as the start's own fit went."""
    own = json.loads((start / REPORT).read_text(encoding="utf-8"))["report"]
    return max(1, int(cpu_seconds * own["steps"] / own["cpu_seconds"]))


def _pairs(answers: Answers, prompts: PromptFiles, steps: int, seed: int) -> list[tuple[str, str]]:
    if answers is Answers.START:
        return list(islice(examples(StartSettings(), _OTHER_EXAMPLES + seed), steps * BATCH))
    rows = [json.loads(line) for line in prompts.train.read_text(encoding="utf-8").splitlines()]
    return [(row["prompt"], row["ground_truth"]) for row in rows]
