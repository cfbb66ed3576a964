"""The learner's checkpoint: weights, optimizers, random state, history and log positions as one atomic unit.

Invariant: restoring a checkpoint and reading the log from its `offsets`, skipping the groups in `closed`, sees every
group that the surviving history has not closed, and none that it has. The model part is a folder that
transformers loads, or peft where an adapter is trained. What is written knows no world size
and no device: a checkpoint of several processes or of an accelerator is one that a single process on the CPU would
have written, and restores there.
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
    """A checkpoint that cannot be restored; the text names the folder and what to do."""


@dataclass(frozen=True, slots=True)
class History:
    """What a resumed learner needs to know of the run so far."""

    lineage: int
    version: int
    ordinal: int
    """Closings in the surviving history."""
    offsets: dict[TopicPartition, int]
    closed: SeqSet


@dataclass(frozen=True, slots=True)
class Collected:
    """What is written of the models."""

    policy: Any
    tensors: dict[str, Tensor]
    """The policy's, whole, as all of `ppo`."""
    ppo: dict[str, Any]
    rng: Tensor
    """torch's own, of the CPU."""


def collect(ppo: PPO) -> Collected:
    """Where the models are sharded, every process must call it; one then writes. Of a single process nothing is copied:
    what is written are the weights at the time of writing.
    """
    return Collected(ppo.policy, policy_state(ppo.policy), full_state(ppo.state_dict()), torch.get_rng_state())


def write(folder: Path, collected: Collected, history: History, template: Path, keep: int) -> Path:
    """Write `folder/vNNNNNN`; `template` is the policy's own folder. Raises OSError."""
    target = folder / f"v{history.version:06d}"
    with atomic_folder(target) as temporary:
        write_policy(collected.policy, collected.tensors, template, temporary)
        torch.save(_state(collected, history), temporary / _STATE_FILE)
    keep_newest(folder, _PATTERN, keep)
    return target


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    return max((path for path in folder.glob(_PATTERN) if (path / _STATE_FILE).is_file()), default=None)


def restore(path: Path, ppo: PPO) -> History:
    """Put the state into `ppo`, whose policy was loaded from `path`. Raises CheckpointError."""
    try:
        state: Mapping[str, Any] = torch.load(path / _STATE_FILE, map_location="cpu", weights_only=True)
        ppo.load_state_dict(state["ppo"])
        torch.set_rng_state(state["rng"])
        return _history(state)
    except (KeyError, RuntimeError, ValueError, OSError, EOFError, UnpicklingError) as error:
        why = "not a checkpoint" if isinstance(error, UnpicklingError) else error  # torch would advise to trust it
        raise CheckpointError(
            f"{path}: {why}; it was written with other learner settings or is damaged: restore the settings "
            "(learner.value.kind among them), or remove the folder to go on from the one before"
        ) from error


def _history(state: Mapping[str, Any]) -> History:
    return History(
        lineage=state["lineage"],
        version=state["version"],
        ordinal=state["ordinal"],
        offsets={TopicPartition(topic, number): offset for topic, number, offset in state["offsets"]},
        closed=SeqSet.of(state["closed_low"], state["closed_above"]),
    )


def _state(collected: Collected, history: History) -> dict[str, Any]:
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
