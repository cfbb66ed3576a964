"""The learner's checkpoint: weights, optimizers, random state, history and log positions as one atomic unit.

Invariants:
- A learner that restores a checkpoint and reads the log from its `offsets`, skipping the groups in `closed`, sees every
  group that the surviving history has not closed, and none that it has.
- The model part is a folder that transformers loads, or peft if an adapter is trained.
- A checkpoint does not depend on world size or device: several processes, or a GPU, write what a single process on the
  CPU would have written, and it restores there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from infra.files.folders import atomic_folder, keep_newest
from streams.records import TopicPartition
from trainer.distributed.gather import full_state
from trainer.seqset import SeqSet
from trainer.step.ppo import PPO
from trainer.weights.policy_io import policy_state, write_policy

_STATE_FILE = "learner.pt"
_PATTERN = "v*"


class CheckpointError(RuntimeError):
    """The checkpoint cannot be restored; the text names the folder and what to do."""


@dataclass(frozen=True, slots=True)
class LearnerHistory:
    """What a resumed learner needs to know about the run so far."""

    lineage: int
    version: int
    ordinal: int
    """Number of closings in the surviving history."""
    offsets: dict[TopicPartition, int]
    closed: SeqSet


@dataclass(frozen=True, slots=True)
class CollectedState:
    """The part of a checkpoint that is gathered from the models."""

    policy: Any
    tensors: dict[str, Tensor]
    """The policy's tensors, gathered."""
    ppo: dict[str, Any]
    """The learner's other state, gathered."""
    rng: Tensor
    """torch's random state on the CPU."""


def collect(ppo: PPO) -> CollectedState:
    """Collects the state to write. If the models are sharded, every process must call it, and one of them then writes.

    In a single process nothing is copied, so `write` writes the weights as they are when it runs.
    """
    return CollectedState(ppo.policy, policy_state(ppo.policy), full_state(ppo.state_dict()), torch.get_rng_state())


def write(folder: Path, collected: CollectedState, history: LearnerHistory, template: Path, keep: int) -> Path:
    """Writes `folder/vNNNNNN`, and keeps the newest `keep` checkpoints. `template` is the run's initial policy.

    Raises OSError.
    """
    target = folder / f"v{history.version:06d}"
    with atomic_folder(target) as temporary:
        write_policy(collected.policy, collected.tensors, template, temporary)
        torch.save(_state(collected, history), temporary / _STATE_FILE)
    keep_newest(folder, _PATTERN, keep)
    return target


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None."""
    return max((path for path in folder.glob(_PATTERN) if (path / _STATE_FILE).is_file()), default=None)


def restore(path: Path, ppo: PPO) -> LearnerHistory:
    """Loads the state into `ppo`, whose policy was loaded from `path`. Raises CheckpointError."""
    try:
        state: Mapping[str, Any] = torch.load(path / _STATE_FILE, map_location="cpu", weights_only=True)
        ppo.load_state_dict(state["ppo"])
        torch.set_rng_state(state["rng"])
        return _history(state)
    except (KeyError, RuntimeError, ValueError, OSError, EOFError, UnpicklingError) as error:
        why = (
            "not a checkpoint" if isinstance(error, UnpicklingError) else error
        )  # torch's message would advise to trust the file
        raise CheckpointError(
            f"{path}: {why}; it was written with other learner settings or is damaged: restore the settings "
            "(learner.value.kind among them), or remove the folder to resume from the previous one"
        ) from error


def _history(state: Mapping[str, Any]) -> LearnerHistory:
    return LearnerHistory(
        lineage=state["lineage"],
        version=state["version"],
        ordinal=state["ordinal"],
        offsets={TopicPartition(topic, number): offset for topic, number, offset in state["offsets"]},
        closed=SeqSet.of(state["closed_low"], state["closed_above"]),
    )


def _state(collected: CollectedState, history: LearnerHistory) -> dict[str, Any]:
    return {
        "ppo": collected.ppo,
        "rng": collected.rng,
        "lineage": history.lineage,
        "version": history.version,
        "ordinal": history.ordinal,
        "offsets": [(at.topic, at.partition, offset) for at, offset in history.offsets.items()],
        "closed_low": history.closed.low,
        "closed_above": sorted(history.closed.above),
    }
