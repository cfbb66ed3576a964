"""What the learner's benchmarks run on: the demo's policy, settings of the demo's recipe, drawn batches.

Invariant: a seed gives the same batch in every process.
"""

import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from support.tree_mask import tree_mask
from torch.nn.functional import cross_entropy

from infra.settings.learner import LearnerSettings
from trainer.step.batch import TrainingBatch, TrainingRow
from trainer.step.language_models import load_causal_lm
from trainer.step.trajectory import Trajectory
from workers.models.model_files import DEMO_MODEL, resolve_model

ROOT = Path(__file__).parents[2]
THREADS = 2
GROUPS = 8
SAMPLES = 8
VOCABULARY = 49_000
SHORT = (2, 24)
"""Response tokens of the demo, from least to most; its prompts have about PROMPT."""
LONG = (128, 512)
PROMPT = 25


def settings_of(**changes: Any) -> LearnerSettings:
    """The demo's recipe, with sections of `changes` merged in."""
    values = tomllib.loads((ROOT / "infra" / "recipes" / "demo.toml").read_text())["learner"]
    for name, value in changes.items():
        values[name] = values.get(name, {}) | value if isinstance(value, dict) else value
    return LearnerSettings.model_validate(values)


def policy(attention: str | None = None) -> Any:
    """`attention`: transformers' own of that name in place of the learner's."""
    model = load_causal_lm(resolve_model(DEMO_MODEL, ROOT / "runs" / "prepared"))
    if attention:
        model.set_attn_implementation(attention)
    return model


def drawn_groups(lengths: tuple[int, int], groups: int = GROUPS, seed: int = 0) -> list[list[Trajectory]]:
    """Each group has SAMPLES responses; lengths and tokens are uniform."""
    draw = random.Random(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, VOCABULARY) for _ in range(count))

    found = []
    for _ in range(groups):
        prompt = ids(PROMPT)
        found.append([_trajectory(prompt, ids(draw.randint(*lengths)), draw.random()) for _ in range(SAMPLES)])
    return found


def _trajectory(prompt: tuple[int, ...], tokens: tuple[int, ...], score: float) -> Trajectory:
    count = len(tokens)
    return Trajectory(
        np.array(prompt, np.int32),
        np.array(tokens, np.int32),
        np.ones(count, np.bool_),
        np.full(count, -10.0, np.float32),
        np.zeros(count, np.int32),
        score,
        1.0,
        "bench",
    )


def bare_loss(model: Any, row: TrainingRow) -> torch.Tensor:
    """Mean negative log-likelihood of the row's targets in plain calls: the same tokens in one row under the same mask,
    logits at the same positions, bfloat16 autocast.
    """
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.base_model(
            input_ids=row.packed.input_ids[None],
            position_ids=row.packed.position_ids[None],
            attention_mask=tree_mask(row.packed),
            use_cache=False,
        ).last_hidden_state[0, row.predictors_N]
        logits = model.get_output_embeddings()(hidden)
    return cross_entropy(logits.float(), row.targets_N)


def adamw(model: Any, settings: LearnerSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def bare_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Sequence[TrainingRow]],
    loss: Callable[[Any, TrainingRow], torch.Tensor],
) -> None:
    """An update a mini-batch, as the learner makes; nothing is measured, clipped or checked."""
    for rows in batches:
        for row in rows:
            (loss(model, row) / len(rows)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def seconds(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def alternated(rounds: int, *sides: Callable[[], object]) -> list[list[float]]:
    """Seconds of each side by round, after one unmeasured call of each."""
    for side in sides:
        side()
    taken = [[seconds(side) for side in sides] for _ in range(rounds)]
    return [list(column) for column in zip(*taken, strict=True)]


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as fast, median over the rounds."""
    return median(b / a for a, b in zip(ours, theirs, strict=True))


def per_second(batch: TrainingBatch, taken: Sequence[float]) -> float:
    return batch.targets / median(taken)
