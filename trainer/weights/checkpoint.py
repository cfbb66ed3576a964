"""The learner's checkpoint: weights, optimizers, random state, and the history of that moment, as one atomic unit.

Invariants:
- A checkpoint lies in the folder of its learner; no other one replaces or removes it while it is needed
  (`trainer.fencing.saved_states`).
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
from trainer.distributed.gather import full_state
from trainer.step.ppo import PPO
from trainer.weights.history import LearnerHistory, read_history, write_history
from trainer.weights.policy_io import policy_state, write_policy

HISTORY_FILE = "history.json"
_STATE_FILE = "learner.pt"
_PATTERN = "v*"


class CheckpointError(RuntimeError):
    """The checkpoint cannot be restored; the text names the folder and what to do."""


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
    target = folder / folder_name(history.version)
    with atomic_folder(target) as temporary:
        write_policy(collected.policy, collected.tensors, template, temporary)
        torch.save({"ppo": collected.ppo, "rng": collected.rng}, temporary / _STATE_FILE)
        write_history(temporary / HISTORY_FILE, history)
    keep_newest(folder, _PATTERN, keep)
    return target


def folder_name(version: int) -> str:
    return f"v{version:06d}"


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in the folder, oldest first."""
    return sorted(path for path in folder.glob(_PATTERN) if (path / HISTORY_FILE).is_file())


def restore(path: Path, ppo: PPO) -> LearnerHistory:
    """Loads the state into `ppo`, whose policy was loaded from `path`. Raises CheckpointError."""
    try:
        state: Mapping[str, Any] = torch.load(path / _STATE_FILE, map_location="cpu", weights_only=True)
        ppo.load_state_dict(state["ppo"])
        torch.set_rng_state(state["rng"])
        return read_history(path / HISTORY_FILE)
    except (KeyError, RuntimeError, ValueError, OSError, EOFError, UnpicklingError) as error:
        why = (
            "not a checkpoint" if isinstance(error, UnpicklingError) else error
        )  # torch's message would advise to trust the file
        raise CheckpointError(
            f"{path}: {why}; it was written with other learner settings or is damaged: restore the settings "
            "(learner.value.kind among them), or remove the folder to resume from the previous one"
        ) from error
