"""What each artifact of the preparation is made from: its inputs, and the name that follows from them.

Invariant: a name depends on data, settings and names of other artifacts alone. So it is known before anything is made,
and a test can compare the artifacts that the repository keeps with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import msgspec

from infra.demo import judge_fit
from infra.demo.examples import sft_examples
from infra.demo.passages import READING_KINDS, Passage, passages
from infra.demo.prompts import heldout_row, heldout_tasks, new_tasks, original_tasks
from infra.demo.references import SAMPLES
from infra.demo.splits import Split
from infra.demo.tasks import WRITING, DemoTask, reading
from infra.files.artifacts import artifact_name
from trainer.reward_models.bradley_terry import BradleyTerrySettings
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings
from trainer.supervised.sft import SftSettings

CODE = 3
"""Part of every name: raise it if code changes what an artifact contains."""
_SFT = SftSettings(fit=FitSettings(steps=28, learning_rate=7e-4, lora_rank=8), batch=16)
_JUDGE = JudgeFitSettings(fit=FitSettings(steps=220, learning_rate=7e-4, upper_share=0.5, lora_rank=16), groups=6)
_BT = BradleyTerrySettings(
    fit=FitSettings(steps=30, learning_rate=5e-4, upper_share=0.5, lora_rank=8), batch=8, heldout_share=0.1
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes of every part. The defaults are the demo's; tests use smaller ones."""

    sft: SftSettings = _SFT
    """Just enough steps for the model to know the answer formats: half of them leave PPO without a signal, twice as
    many leave little to improve."""
    judge: JudgeFitSettings = _JUDGE
    """About 45 triples per step."""
    bt: BradleyTerrySettings = _BT
    """Three passes over the writing prompts, most of which have two dozen comparisons."""
    passages: int = 24
    """Passages per kind and split that the judge is fitted on."""
    measured_passages: int = 12
    """Held-out passages per kind for measuring the judge: about 600 triples, which give rates to within 0.01."""
    measured_writing: int = 24
    answers: int = 4
    """The policy's own samples per passage."""


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    base: str
    """Hash or name of the model as shipped."""
    limits: Mapping[str, int]
    """Longest response by domain, in tokens."""
    eval_samples: int

    @cached_property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """The inputs of each artifact, in the order in which they are made."""
        recipe, found = self.recipe, dict[str, dict[str, Any]]()

        def add(kind: str, inputs: dict[str, Any]) -> str:
            found[kind] = inputs | {"code": CODE}
            return artifact_name(kind, found[kind])

        sft = add(
            "sft",
            {
                "base": self.base,
                "examples": [asdict(example) for example in sft_examples()],
                "settings": asdict(recipe.sft),
            },
        )
        policy = add("policy", {"base": self.base, "adapter": sft})
        samples = add(
            "samples",
            {
                "policy": policy,
                "asked": {
                    name: [[task.prompt for task in tasks], count] for name, (tasks, count) in self.asked.items()
                },
                "limits": dict(self.limits),
            },
        )
        triples = judge_fit.reading_triples(self.judge_passages, {})  # the rest follows from the samples
        genrm = add(
            "genrm",
            {
                "base": self.base,
                "samples": samples,
                "triples": msgspec.to_builtins(triples),
                "settings": asdict(recipe.judge),
            },
        )
        judge = add("judge", {"base": self.base, "adapter": genrm})
        add("measures", {"judge": judge, "samples": samples, "measures": judge_fit.MEASURES})
        bt = add("bt", {"policy": policy, "samples": samples, "settings": asdict(recipe.bt)})
        add("references", {"bt": bt, "samples": samples})
        rows = [heldout_row(task) for task in heldout_tasks()]
        add("base", {"base": self.base, "rows": rows, "samples": self.eval_samples, "limits": dict(self.limits)})
        return found

    def name(self, kind: str) -> str:
        """The name of the artifact's folder."""
        return artifact_name(kind, self.inputs[kind])

    @cached_property
    def asked(self) -> dict[str, tuple[Sequence[DemoTask], int]]:
        """Tasks and samples per task that are drawn from the SFT model."""
        return {
            "passages": ([reading(passage) for passage in self.judge_passages], self.recipe.answers),
            "heldout_passages": ([reading(passage) for passage in self.heldout_passages], self.recipe.answers),
            "writing": (writing_tasks([*original_tasks(), *new_tasks()]), SAMPLES),
            "heldout_writing": (self.heldout_writing, SAMPLES),
        }

    @cached_property
    def judge_passages(self) -> list[Passage]:
        return [
            passage
            for split in (Split.TRAIN, Split.NEW)
            for kind in READING_KINDS
            for passage in passages(split, kind, self.recipe.passages)
        ]

    @cached_property
    def heldout_passages(self) -> list[Passage]:
        return [
            passage
            for kind in READING_KINDS
            for passage in passages(Split.HELDOUT, kind, self.recipe.measured_passages)
        ]

    @cached_property
    def heldout_writing(self) -> list[DemoTask]:
        return writing_tasks(heldout_tasks())[: self.recipe.measured_writing]


def writing_tasks(tasks: Sequence[DemoTask]) -> list[DemoTask]:
    return [task for task in tasks if task.domain == WRITING]
