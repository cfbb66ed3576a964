"""Makes what `make demo` needs before its first run: policy, judge, references, prompts, and the base model's scores.

Invariant: each artifact is cached under the hash of its inputs, so a second run makes nothing, an interrupted one
continues where it stopped, and no run's seed changes any of them.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import torch

from infra.demo import judge_fit, measure
from infra.demo.adapters import apply_adapter, extract_adapter
from infra.demo.examples import sft_examples
from infra.demo.generate import Sample, sample
from infra.demo.judge_fit import Material
from infra.demo.plan import Plan, Recipe
from infra.demo.prompts import build_prompts, heldout_row, heldout_tasks
from infra.demo.references import compare_with_rubric, comparisons, ranked, rewards_of
from infra.demo.splits import SEED
from infra.demo.tasks import DemoTask
from infra.files.artifacts import Artifact, ensure_artifact, model_hash
from infra.settings.tree import Settings
from trainer.prompts.dataset import Defaults, parse_row
from trainer.reward_models.bradley_terry import fit_reward_model
from trainer.supervised.genrm import fit_judge
from trainer.supervised.sft import run_sft
from workers.models.model_files import DEMO_MODEL, resolve_model

KEPT = Path(__file__).parent / "kept"
"""Artifacts that the repository keeps, so that a first demo does not fit anything; `infra.demo.keep` makes them."""
_REFERENCES, _SCORES = "references.json", "scores.json"


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
    `references`, `prompts`, `base`."""
    base_scores: dict[str, list[float]]
    """Prompt id -> the base model's scores, `selector.eval_samples` of them."""


def prepare(
    settings: Settings, progress: Progress | None = None, recipe: Recipe | None = None, kept: Path | None = KEPT
) -> Prepared:
    """Makes what is missing under `run.prepared`, on all cores, since nothing else runs yet.

    Artifacts in `kept` are taken if they were made from the same inputs; None makes all of them. Raises ModelFilesError
    if the base model is not available, and OSError if the disk is full or not writable.
    """
    with _on_all_cores():
        return _begin(settings, progress, recipe, kept).run()


def make_kept(settings: Settings, progress: Progress | None = None, recipe: Recipe | None = None) -> None:
    """Makes the artifacts that can be kept, under `run.prepared`. Raises as `prepare` does."""
    with _on_all_cores():
        _begin(settings, progress, recipe, None).make_kept()


@contextmanager
def _on_all_cores() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _begin(settings: Settings, progress: Progress | None, recipe: Recipe | None, kept: Path | None) -> "_Preparation":
    tell: Progress = progress or (lambda _what, _done, _total: None)
    tell("model", 0, 1)
    base = resolve_model(settings.model.path, settings.run.prepared)
    tell("model", 1, 1)
    plan = plan_of(settings, base.name if settings.model.path == DEMO_MODEL else model_hash(base), recipe)
    return _Preparation(plan, base, settings.run.prepared, tell, kept)


def plan_of(settings: Settings, base: str, recipe: Recipe | None = None) -> Plan:
    """The plan for these settings. `base` is the hash or name of the model as shipped."""
    limits = settings.rollout.sampling.max_new_tokens_by_domain
    return Plan(recipe or Recipe(), base, limits, settings.selector.eval_samples)


class _Preparation:
    def __init__(self, plan: Plan, base: Path, root: Path, tell: Progress, kept: Path | None) -> None:
        self._plan = plan
        self._base = base
        self._root = root
        self._tell = tell
        self._kept = kept
        self._artifacts: dict[str, Artifact] = {}

    def run(self) -> Prepared:
        policy, judge = self._policy(), self._judge()
        self._measures()
        references = json.loads((self._references().folder / _REFERENCES).read_text(encoding="utf-8"))
        prompts = self._build_prompts(references)
        scores = self._base_scores()
        return Prepared(
            policy=policy.folder,
            judge=judge.folder,
            base_model=self._base,
            prompts=prompts.folder / "train.jsonl",
            heldout=prompts.folder / "heldout.jsonl",
            report=self._report(scores),
            base_scores=json.loads((scores.folder / _SCORES).read_text(encoding="utf-8")),
        )

    def make_kept(self) -> None:
        self._policy()
        self._judge()
        self._measures()
        self._references()
        self._base_scores()

    def _policy(self) -> Artifact:
        sft = self._ensure("sft", self._train_policy)
        return self._ensure("policy", lambda folder: self._merge(sft, folder))

    def _judge(self) -> Artifact:
        adapter = self._ensure("genrm", self._fit_judge)
        return self._ensure("judge", lambda folder: self._merge(adapter, folder))

    def _measures(self) -> Artifact:
        return self._ensure(
            "measures", lambda _folder: judge_fit.measures(self._judge().folder, self._heldout_material())
        )

    def _references(self) -> Artifact:
        return self._ensure("references", self._pick_references)

    def _base_scores(self) -> Artifact:
        return self._ensure("base", self._score_base)

    def _train_policy(self, folder: Path) -> dict[str, Any]:
        settings = self._plan.recipe.sft
        with self._fitted() as fitted:
            report = run_sft(self._base, sft_examples(), fitted, settings, self._report_step("sft"))
            extract_adapter(self._base, fitted, settings.fit.lora_rank, folder)
        return asdict(report)

    def _fit_judge(self, folder: Path) -> dict[str, Any]:
        settings, passages = self._plan.recipe.judge, self._plan.judge_passages
        tasks, texts = self._samples("writing")
        groups = judge_fit.training_groups(Material(passages, self._answers("passages"), tasks, texts))
        with self._fitted() as fitted:
            report = fit_judge(self._base, groups, fitted, settings, self._report_step("genrm"))
            extract_adapter(self._base, fitted, settings.fit.lora_rank, folder)
        return asdict(report)

    def _fit_reward_model(self, folder: Path) -> dict[str, Any]:
        tasks, texts = self._samples("writing")
        policy, settings = self._policy().folder, self._plan.recipe.bt
        report = fit_reward_model(policy, comparisons(tasks, texts), folder, settings, self._report_step("bt"))
        return asdict(report)

    @contextmanager
    def _fitted(self) -> Iterator[Path]:
        """A folder for a whole model, of which only the adapter stays."""
        with TemporaryDirectory(dir=self._root) as folder:
            yield Path(folder)

    def _merge(self, adapter: Artifact, folder: Path) -> dict[str, Any]:
        apply_adapter(self._base, adapter.folder, folder)
        return {}

    def _pick_references(self, folder: Path) -> dict[str, Any]:
        tasks, texts = self._samples("writing")
        rewards: Sequence[Sequence[float] | None] = [None] * len(tasks)
        report: dict[str, Any] = {}
        if comparisons(tasks, texts):  # another model's samples may all score the same
            bt = self._ensure("bt", self._fit_reward_model)
            rewards, report = rewards_of(bt.folder, tasks, texts), {"bt": bt.report}
        found = {task.prompt: ranked(task, row, own) for task, row, own in zip(tasks, texts, rewards, strict=True)}
        (folder / _REFERENCES).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return {"prompts": len(found), "rubric": compare_with_rubric(tasks, texts, found)} | report

    def _build_prompts(self, references: dict[str, list[str]]) -> Artifact:
        train, heldout = build_prompts(references)

        def make(folder: Path) -> dict[str, Any]:
            for name, rows in (("train", train), ("heldout", heldout)):
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
            return {"train": len(train), "heldout": len(heldout)}

        return self._ensure("prompts", make, {"train": train, "heldout": heldout})

    def _score_base(self, folder: Path) -> dict[str, Any]:
        tasks = heldout_tasks()
        ids = [parse_row(heldout_row(task), Defaults()).id for task in tasks]
        samples = self._sample_tasks(self._base, tasks, self._plan.eval_samples, "base")
        scores = measure.scores(tasks, samples)
        (folder / _SCORES).write_text(json.dumps(dict(zip(ids, scores, strict=True))) + "\n", encoding="utf-8")
        return measure.domain_means(tasks, scores)

    def _heldout_material(self) -> Material:
        return Material(
            self._plan.heldout_passages, self._answers("heldout_passages"), *self._samples("heldout_writing")
        )

    def _answers(self, name: str) -> dict[str, Sequence[Sample]]:
        tasks, samples = self._samples(name)
        return {task.prompt: row for task, row in zip(tasks, samples, strict=True)}

    def _samples(self, name: str) -> tuple[Sequence[DemoTask], list[list[Sample]]]:
        """Tasks and the SFT model's samples of one kind. They are drawn when they are first needed: never, if what is
        made from them is kept.
        """
        folder = self._ensure("samples", self._draw_samples).folder
        samples = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=list[list[Sample]])
        return self._plan.asked[name][0], samples

    def _draw_samples(self, folder: Path) -> dict[str, Any]:
        policy = self._policy().folder
        for name, (tasks, count) in self._plan.asked.items():
            found = self._sample_tasks(policy, tasks, count, name)
            (folder / f"{name}.json").write_bytes(msgspec.json.encode(found))
        return {"samples": sum(len(tasks) * count for tasks, count in self._plan.asked.values())}

    def _ensure(
        self, kind: str, make: Callable[[Path], dict[str, Any]], inputs: dict[str, Any] | None = None
    ) -> Artifact:
        self._tell(kind, 0, 1)
        found = ensure_artifact(self._root, kind, inputs or self._plan.inputs[kind], make, self._kept)
        self._artifacts.setdefault(kind, found)
        self._tell(kind, 1, 1)
        return found

    def _sample_tasks(self, folder: Path, tasks: Sequence[DemoTask], count: int, name: str) -> list[list[Sample]]:
        return sample(
            folder,
            tasks,
            count,
            seed=SEED,
            max_new_tokens=self._plan.limits,
            progress=lambda done, total: self._tell(name, done, total),
        )

    def _report_step(self, name: str) -> Callable[[int, int, float], None]:
        return lambda done, total, _loss: self._tell(name, done, total)

    def _report(self, scores: Artifact) -> dict[str, Any]:
        return {
            "seconds": {name: found.seconds for name, found in self._artifacts.items()},
            "cpu_seconds": {name: found.cpu_seconds for name, found in self._artifacts.items()},
            "made": [name for name, found in self._artifacts.items() if found.made],
            "sft": self._artifacts["sft"].report,
            "judge": self._artifacts["measures"].report,
            "references": self._artifacts["references"].report,
            "prompts": self._artifacts["prompts"].report,
            "base": scores.report,
        }
