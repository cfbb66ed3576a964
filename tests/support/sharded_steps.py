"""A learner over several processes, as torchrun would start them: the same steps as one process takes."""

from pathlib import Path
from typing import Any

import msgspec
import torch

from infra.settings.learner import KLSettings, LearnerSettings, LoraSettings, ValueSettings
from infra.settings.objective import ObjectiveSettings
from streams.records import TopicPartition
from support.ppo_cases import settings_for
from support.trajectories import trajectory
from trainer.distributed.process_group import ProcessGroup
from trainer.leader.coordinator import shares_of
from trainer.seqset import SeqSet
from trainer.step.batch import TrainingBatch, outline_of, pack_rows
from trainer.step.ppo import PPO
from trainer.step.report import StepReport
from trainer.step.row_plan import plan_rows
from trainer.step.trajectory import Trajectory
from trainer.weights import checkpoint
from trainer.weights.build_models import build_ppo
from trainer.weights.history import LearnerHistory
from trainer.weights.publish import Publisher

STEPS = 2
SEED = 7
ROW_TOKENS = 24
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


def built(template: Path, learner: LearnerSettings, processes: ProcessGroup | None = None) -> PPO:
    return build_ppo(settings_for(template, template.parent, **learner.model_dump()), template, processes)


def groups(number: int) -> list[list[Trajectory]]:
    """Five groups of uneven lengths in three rows, of which one of two mini-batches has a single one: then all but one
    process have none.
    """
    torch.manual_seed(number)
    found = []
    for size, prompt in ((2, 3), (3, 2), (2, 9), (2, 4), (4, 5)):
        tokens = [torch.randint(3, 200, (length,)).tolist() for length in range(2, 2 + size)]
        start = torch.randint(3, 200, (prompt,)).tolist()
        found.append([trajectory(start, ids, score=float(i % 2)) for i, ids in enumerate(tokens)])
    return found


def batch(number: int, learner: LearnerSettings, rank: int = 0, size: int = 1) -> TrainingBatch:
    """What process `rank` of `size` has of the batch."""
    members = groups(number)
    outline = outline_of(members, ROW_TOKENS)
    plan = plan_rows(outline, learner, version=number, seed=SEED, processes=size)
    share = shares_of(plan, [one for group in members for one in group], frozenset())[rank]
    rows = pack_rows(outline, share.numbers, share.trajectories, None)
    return TrainingBatch(outline, share.numbers, rows, [])


def take_steps(ppo: PPO, learner: LearnerSettings, first: int = 0, rank: int = 0, size: int = 1) -> list[StepReport]:
    return [ppo.step(batch(n, learner, rank, size), n, seed=SEED) for n in range(first, first + STEPS)]


def member(processes: ProcessGroup, template: Path, out: Path, saved: dict[str, Path]) -> None:
    """One process: from the checkpoints `saved`, or from the start; writes reports, a version and a checkpoint."""
    rank, size = processes.rank, processes.size
    for name, learner in CASES.items():
        ppo = built(template, learner, processes)
        if name in saved:
            checkpoint.restore(saved[name], ppo, processes.checkpoint_group)
        reports = take_steps(ppo, learner, STEPS if name in saved else 0, rank, size)
        publisher = Publisher(out / name / "versions", template, "r", torch.float32, 2)
        if processes.is_leader:
            publisher.write(publisher.gather_weights(ppo.policy), 0, STEPS)
            (out / name / "reports").write_bytes(msgspec.json.encode(reports))
        else:
            publisher.help_to_gather(ppo.policy)
        save(ppo, out / name / "checkpoints", HISTORY, template, processes)


def save(ppo: PPO, folder: Path, history: LearnerHistory, template: Path, processes: ProcessGroup) -> None:
    """A checkpoint, written by all processes as the learner's commands make them do it."""
    if processes.is_leader:
        temporary = checkpoint.make_room(folder, history.version)
        processes.broadcast(temporary)
    else:
        temporary = processes.receive()
    begun = checkpoint.start(temporary, ppo, processes.checkpoint_group)
    if processes.is_leader:
        checkpoint.finish(begun, history, template, keep=2)
    begun.written.result()
    processes.gather(None) if processes.is_leader else processes.reply(None)  # the folder has its name
