"""A learner over several processes, as torchrun would start them: the same steps as one process takes."""

import os
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch.distributed import destroy_process_group
from torch.multiprocessing.spawn import spawn

from infra.settings.learner import KLSettings, LearnerSettings, LoraSettings, ValueSettings
from infra.settings.objective import ObjectiveSettings
from streams.records import TopicPartition
from support.trajectories import trajectory
from trainer.distributed.process_group import join_process_group
from trainer.leader.fsdp import shard_ppo
from trainer.seqset import SeqSet
from trainer.step.batch import TrainingBatch, pack_batch
from trainer.step.language_models import ValueModel, load_causal_lm
from trainer.step.layers import recompute_activations
from trainer.step.ppo import PPO
from trainer.step.report import StepReport
from trainer.step.row_partition import RankRows
from trainer.weights import checkpoint
from trainer.weights.history import LearnerHistory
from trainer.weights.policy_io import load_policy
from trainer.weights.publish import Publisher

STEPS = 2
PLAIN: dict[str, Any] = {"learning_rate": 1e-2, "warmup_steps": 0, "autocast": False, "minibatches": 2}
HISTORY = LearnerHistory(0, STEPS, 4, {TopicPartition("scored", 1): 7}, SeqSet.of(2, [5]))
CASES = {
    "group": LearnerSettings(advantage="group", value=ValueSettings(kind="none"), **PLAIN),
    "value": LearnerSettings(value=ValueSettings(learning_rate=1e-2), gradient_clip=0.1, **PLAIN),
    "kl": LearnerSettings(
        advantage="group", value=ValueSettings(kind="none"), kl=KLSettings(apply_to="loss", coefficient=0.1), **PLAIN
    ),
    "lora": LearnerSettings(value=ValueSettings(kind="head"), lora=LoraSettings(rank=2), **PLAIN),
    "small_memory": LearnerSettings(
        advantage="group",
        value=ValueSettings(kind="none"),
        objective=ObjectiveSettings(entropy=0.01),
        logits_chunk_tokens=2,
        gradient_checkpointing=True,
        **PLAIN,
    ),
}


def whole_ppo(folder: Path, template: Path, settings: LearnerSettings) -> PPO:
    torch.manual_seed(0)
    policy = load_policy(folder, template, settings.lora)
    if settings.gradient_checkpointing:
        recompute_activations(policy)
    trunk = load_causal_lm(template).base_model if settings.value.kind == "model" else None
    value = None if settings.value.kind == "none" else ValueModel(policy.config.hidden_size, trunk)
    reference = load_causal_lm(template).requires_grad_(False) if settings.kl.apply_to != "none" else None
    return PPO(policy, value, settings, reference)


def batch(number: int) -> TrainingBatch:
    """Five groups of uneven lengths in three rows, of which one of two mini-batches has a single one: then all but one
    process have none.
    """
    torch.manual_seed(number)
    groups = []
    for size, prompt in ((2, 3), (3, 2), (2, 9), (2, 4), (4, 5)):
        tokens = [torch.randint(3, 200, (length,)).tolist() for length in range(2, 2 + size)]
        start = torch.randint(3, 200, (prompt,)).tolist()
        groups.append([trajectory(start, ids, score=float(i % 2)) for i, ids in enumerate(tokens)])
    return pack_batch(groups, 24)


def take_steps(ppo: PPO, first: int = 0) -> list[StepReport]:
    return [ppo.step(batch(number), number, seed=7) for number in range(first, first + STEPS)]


def member(rank: int, size: int, template: Path, out: Path, saved: dict[str, Path]) -> None:
    """One process: from the checkpoints `saved`, or from the start; writes reports, a version and a checkpoint."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    processes = join_process_group("auto")
    for name, settings in CASES.items():
        ppo = whole_ppo(saved.get(name, template), template, settings)
        if name in saved:
            checkpoint.restore(saved[name], ppo)
        ppo = shard_ppo(ppo, settings, processes.mesh, RankRows(rank, size, processes.cpu_group))
        reports = take_steps(ppo, STEPS if name in saved else 0)
        publisher = Publisher(out / name / "versions", template, "r", torch.float32, 2)
        snapshot, collected = publisher.gather_weights(ppo.policy), checkpoint.collect(ppo)
        if rank == 0:
            publisher.write(snapshot, 0, STEPS)
            checkpoint.write(out / name / "checkpoints", collected, HISTORY, template, keep=1)
            (out / name / "reports").write_bytes(msgspec.json.encode(reports))
    destroy_process_group()


def run(size: int, template: Path, out: Path, saved: dict[str, Path]) -> None:
    """All of them, to their end."""
    spawn(member, (size, template, out, saved), nprocs=size)
