"""Makes what `make demo` needs before its first run: policy, judge, references, prompts, and the base model's scores.

Invariant: each artifact is cached under the hash of its inputs, so a second run makes nothing, an interrupted one
continues where it stopped, and no run's seed changes any of them.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from infra.demo import judge_fit, measure
from infra.demo.examples import sft_examples
from infra.demo.generate import Sample, sample
from infra.demo.judge_fit import Material
from infra.demo.prompts import build_prompts, heldout_row, heldout_tasks, new_tasks, original_tasks
from infra.demo.references import SAMPLES, ranked
from infra.demo.splits import SEED, Fact, Split, facts
from infra.demo.tasks import WRITING, DemoTask, knowledge
from infra.files.artifacts import Artifact, ensure_artifact, model_hash
from infra.settings.tree import Settings
from trainer.prompts.dataset import Defaults, parse_row
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings, fit_judge
from trainer.supervised.sft import SftSettings, run_sft
from workers.models.model_files import resolve_model

CODE = 1
"""Part of every hash: raise it when code changes what an artifact holds."""


_SFT = SftSettings(fit=FitSettings(steps=24, learning_rate=6e-5), batch=16)
_JUDGE = JudgeFitSettings(fit=FitSettings(steps=96, learning_rate=7e-5, upper_share=0.5), groups=6)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes of every part. The defaults are the demo's; tests use smaller ones."""

    sft: SftSettings = _SFT
    """Just enough steps for the model to know the answer formats: half of them leave PPO without a signal, twice as
    many leave little to improve."""
    judge: JudgeFitSettings = _JUDGE
    """About 45 triples per step. Many small steps on the upper half of the layers were better than full steps of twice
    the size in the same time: of 100 wrong answers of the policy, 5 instead of 15 were judged right."""
    facts: int = 240
    """Number of questions that the judge is fitted on."""
    measured_facts: int = 72
    """Number of held-out questions for measuring the judge: about 600 triples, which give rates to within 0.01."""
    measured_writing: int = 24
    answers: int = 4
    """The policy's own samples per question."""


Progress = Callable[[str, int, int], None]
"""(name of the artifact, steps done, total steps)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    policy: Path
    """The model after SFT, from which PPO starts."""
    judge: Path
    base_model: Path
    """The model as shipped."""
    prompts: Path
    """JSONL to ingest as split `train`."""
    heldout: Path
    """JSONL to ingest as split `heldout`."""
    report: dict[str, Any]
    """`seconds` and `cpu_seconds` by artifact, `made` (the artifacts made just now), `sft`, `judge` (its measures),
    `prompts`, `base`."""
    base_scores: dict[str, list[float]]
    """Prompt id -> the base model's scores, `selector.eval_samples` of them."""


def prepare(settings: Settings, progress: Progress | None = None, recipe: Recipe | None = None) -> Prepared:
    """Makes what is missing under `run.prepared`, on all cores, since nothing else runs yet.

    Raises ModelFilesError if the base model is not available, and OSError if the disk is full or not writable.
    """
    tell: Progress = progress or (lambda _what, _done, _total: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return _Preparation(settings, recipe or Recipe(), tell).run()
    finally:
        torch.set_num_threads(threads)


class _Preparation:
    def __init__(self, settings: Settings, recipe: Recipe, tell: Progress) -> None:
        self._settings = settings
        self._recipe = recipe
        self._root = settings.run.prepared
        self._limits = settings.rollout.sampling.max_new_tokens_by_domain
        self._tell = tell
        self._artifacts: dict[str, Artifact] = {}

    def run(self) -> Prepared:
        self._tell("model", 0, 1)
        base = resolve_model(self._settings.model.path, self._root)
        base_hash = model_hash(base)
        self._tell("model", 1, 1)
        policy = self._train_policy(base, base_hash)
        samples = self._draw_samples(policy)
        judge = self._fit_judge(base, base_hash, samples)
        self._measure_judge(judge, samples)
        prompts = self._build_prompts(samples)
        scores = self._score_base(base, base_hash)
        return Prepared(
            policy=policy.folder,
            judge=judge.folder,
            base_model=base,
            prompts=prompts.folder / "train.jsonl",
            heldout=prompts.folder / "heldout.jsonl",
            report=self._report(scores),
            base_scores=json.loads((scores.folder / "scores.json").read_text(encoding="utf-8")),
        )

    def _train_policy(self, base: Path, base_hash: str) -> Artifact:
        examples, settings = sft_examples(), self._recipe.sft
        inputs = {
            "base": base_hash,
            "examples": [asdict(example) for example in examples],
            "settings": asdict(settings),
        }
        return self._ensure(
            "sft", inputs, lambda folder: asdict(run_sft(base, examples, folder, settings, self._report_step("sft")))
        )

    def _draw_samples(self, policy: Artifact) -> Artifact:
        """Samples from the SFT model: references are picked from them, and the judge is fitted and measured on them."""
        answers = self._recipe.answers
        asked = {
            "facts": ([knowledge(fact) for fact in self._judge_facts()], answers),
            "heldout_facts": ([knowledge(fact) for fact in self._heldout_facts()], answers),
            "writing": (_writing_tasks([*original_tasks(), *new_tasks()]), SAMPLES),
            "heldout_writing": (self._heldout_writing(), SAMPLES),
        }
        inputs = {
            "policy": policy.folder.name,
            "asked": {name: [[task.prompt for task in tasks], count] for name, (tasks, count) in asked.items()},
            "limits": self._limits,
        }

        def make(folder: Path) -> dict[str, Any]:
            for name, (tasks, count) in asked.items():
                found = self._sample_tasks(policy.folder, tasks, count, name)
                (folder / f"{name}.json").write_bytes(msgspec.json.encode(found))
            return {"samples": sum(len(tasks) * count for tasks, count in asked.values())}

        return self._ensure("samples", inputs, make)

    def _fit_judge(self, base: Path, base_hash: str, samples: Artifact) -> Artifact:
        asked, settings = self._judge_facts(), self._recipe.judge
        groups = judge_fit.training_groups(
            Material(
                asked,
                _samples_by_prompt([knowledge(fact) for fact in asked], _read_samples(samples, "facts")),
                _writing_tasks([*original_tasks(), *new_tasks()]),
                _read_samples(samples, "writing"),
            )
        )
        inputs = {"base": base_hash, "groups": msgspec.to_builtins(groups), "settings": asdict(settings)}
        return self._ensure(
            "judge",
            inputs,
            lambda folder: asdict(fit_judge(base, groups, folder, settings, self._report_step("judge"))),
        )

    def _measure_judge(self, judge: Artifact, samples: Artifact) -> Artifact:
        held = self._heldout_facts()
        heldout = Material(
            held,
            _samples_by_prompt([knowledge(fact) for fact in held], _read_samples(samples, "heldout_facts")),
            self._heldout_writing(),
            _read_samples(samples, "heldout_writing"),
        )
        inputs = {"judge": judge.folder.name, "samples": samples.folder.name, "measures": judge_fit.MEASURES}
        return self._ensure("measures", inputs, lambda _folder: judge_fit.measures(judge.folder, heldout))

    def _build_prompts(self, samples: Artifact) -> Artifact:
        tasks = _writing_tasks([*original_tasks(), *new_tasks()])
        pairs = zip(tasks, _read_samples(samples, "writing"), strict=True)
        train, heldout = build_prompts({task.prompt: ranked(task, row) for task, row in pairs})

        def make(folder: Path) -> dict[str, Any]:
            for name, rows in (("train", train), ("heldout", heldout)):
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
            return {"train": len(train), "heldout": len(heldout)}

        return self._ensure("prompts", {"train": train, "heldout": heldout}, make)

    def _score_base(self, base: Path, base_hash: str) -> Artifact:
        tasks = heldout_tasks()
        rows = [heldout_row(task) for task in tasks]
        ids = [parse_row(row, Defaults()).id for row in rows]
        count = self._settings.selector.eval_samples
        inputs = {"base": base_hash, "rows": rows, "samples": count, "limits": self._limits}

        def make(folder: Path) -> dict[str, Any]:
            scores = measure.scores(tasks, self._sample_tasks(base, tasks, count, "base"))
            (folder / "scores.json").write_text(json.dumps(dict(zip(ids, scores, strict=True))), encoding="utf-8")
            return measure.domain_means(tasks, scores)

        return self._ensure("base", inputs, make)

    def _ensure(self, name: str, inputs: dict[str, Any], make: Callable[[Path], dict[str, Any]]) -> Artifact:
        self._tell(name, 0, 1)
        self._artifacts[name] = ensure_artifact(self._root, name, inputs | {"code": CODE}, make)
        self._tell(name, 1, 1)
        return self._artifacts[name]

    def _sample_tasks(self, folder: Path, tasks: Sequence[DemoTask], count: int, name: str) -> list[list[Sample]]:
        return sample(
            folder, tasks, count, seed=SEED, max_new_tokens=self._limits, progress=lambda d, n: self._tell(name, d, n)
        )

    def _report_step(self, name: str) -> Callable[[int, int, float], None]:
        return lambda done, total, _loss: self._tell(name, done, total)

    def _judge_facts(self) -> Sequence[Fact]:
        return (*facts()[Split.TRAIN], *facts()[Split.NEW])[: self._recipe.facts]

    def _heldout_facts(self) -> Sequence[Fact]:
        return facts()[Split.HELDOUT][: self._recipe.measured_facts]

    def _heldout_writing(self) -> list[DemoTask]:
        return _writing_tasks(heldout_tasks())[: self._recipe.measured_writing]

    def _report(self, scores: Artifact) -> dict[str, Any]:
        return {
            "seconds": {name: found.seconds for name, found in self._artifacts.items()},
            "cpu_seconds": {name: found.cpu_seconds for name, found in self._artifacts.items()},
            "made": [name for name, found in self._artifacts.items() if found.made],
            "sft": self._artifacts["sft"].report,
            "judge": self._artifacts["measures"].report,
            "prompts": self._artifacts["prompts"].report,
            "base": scores.report,
        }


def _writing_tasks(tasks: Sequence[DemoTask]) -> list[DemoTask]:
    return [task for task in tasks if task.domain == WRITING]


def _samples_by_prompt(tasks: Sequence[DemoTask], samples: Sequence[Sequence[Sample]]) -> dict[str, Sequence[Sample]]:
    return {task.prompt: row for task, row in zip(tasks, samples, strict=True)}


def _read_samples(samples: Artifact, name: str) -> list[list[Sample]]:
    return msgspec.json.decode((samples.folder / f"{name}.json").read_bytes(), type=list[list[Sample]])
