"""The learner's checkpoint: weights, optimizers, random state, and the history of that moment, as one atomic unit.

Invariants:
- A checkpoint lies in the folder of its learner; no other one replaces or removes it while it is needed
  (`trainer.fencing.saved_states`).
- A checkpoint does not depend on world size or device: each process writes its parts of the tensors, any number of
  processes reads them, and none holds more than its own parts.
- A folder `vNNNNNN` is complete: it gets its name after all processes have synced their parts and the leader has
  written the manifest, which has the size of every file of tensors.

The folder has the manifest, the tensors (`trainer.distributed.tensor_files`) and the model's configuration and
tokenizer, so that `trainer.weights.export` can make a model's folder of it.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor

from infra.files.folders import atomic_folder, copy_description, keep_newest, unfinished_folder
from trainer.distributed.tensor_files import TensorFilesError, read_into, saved_tensors, start_writing
from trainer.step.optimizer import Optimizer
from trainer.step.ppo import PPO
from trainer.weights import lora
from trainer.weights.history import HistoryError, LearnerHistory, read_history, write_history
from trainer.weights.policy_io import own_tensors

T = TypeVar("T")

HISTORY_FILE = "history.json"
MANIFEST = "checkpoint.json"
TENSORS = "tensors"
"""Name of the folder of the tensors."""
POLICY = "policy."
"""Prefix of the names of the policy's tensors."""
_FORMAT = 2
_FORMER_FILE = "learner.pt"
"""A file of format 1, in which one process wrote what each process then read whole."""
_PATTERN = "v*"


class CheckpointError(RuntimeError):
    """The checkpoint cannot be restored; the text names the folder and what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """The contents of MANIFEST."""

    format: int
    skips_in_a_row: int
    files: dict[str, int]
    """Bytes of each file of tensors, by name."""


@dataclass(frozen=True, slots=True)
class UnfinishedCheckpoint:
    """A checkpoint whose tensors are being written."""

    temporary: Path
    written: "Future[None]"
    skips_in_a_row: int
    adapter: Any | None
    """peft's configuration if an adapter is trained."""


def make_room(folder: Path, version: int) -> Path:
    """The temporary folder of the next checkpoint; the leader makes it before anyone writes. Raises OSError."""
    temporary = unfinished_folder(folder / folder_name(version))
    (temporary / TENSORS).mkdir()
    return temporary


def start(temporary: Path, ppo: PPO, group: dist.ProcessGroup | None) -> UnfinishedCheckpoint:
    """Begins to write this process's parts; every process of `group` must call it, and None is a single process.

    The tensors are not copied, so no weight may change before `written` is done. It raises OSError or RuntimeError.
    """
    tensors = tensors_of(ppo) | {"rng": torch.get_rng_state()}
    adapter = lora.adapter_config(ppo.policy) if lora.is_adapted(ppo.policy) else None
    return UnfinishedCheckpoint(
        temporary, start_writing(tensors, temporary / TENSORS, group), ppo.skips_in_a_row, adapter
    )


def finish(begun: UnfinishedCheckpoint, history: LearnerHistory, template: Path, keep: int) -> Path:
    """Waits until all processes have written, gives the folder its name, and keeps the newest `keep` checkpoints. Only
    the leader calls it. `template` is the run's initial policy. Raises OSError.
    """
    target = begun.temporary.parent / folder_name(history.version)
    with atomic_folder(target, begun.temporary) as temporary:
        begun.written.result()
        if begun.adapter is None:
            copy_description(template, temporary)
        else:
            begun.adapter.save_pretrained(temporary)
        files = {path.name: path.stat().st_size for path in sorted((temporary / TENSORS).iterdir())}
        manifest = msgspec.json.encode(Manifest(_FORMAT, begun.skips_in_a_row, files))
        (temporary / MANIFEST).write_bytes(msgspec.json.format(manifest) + b"\n")
        write_history(temporary / HISTORY_FILE, history)
    keep_newest(target.parent, _PATTERN, keep)
    return target


def save(folder: Path, ppo: PPO, history: LearnerHistory, template: Path, keep: int) -> Path:
    """`make_room`, `start` and `finish` in a single process. Raises OSError."""
    return finish(start(make_room(folder, history.version), ppo, None), history, template, keep)


def folder_name(version: int) -> str:
    return f"v{version:06d}"


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in the folder, oldest first."""
    return sorted(path for path in folder.glob(_PATTERN) if (path / HISTORY_FILE).is_file())


def restore(path: Path, ppo: PPO, group: dist.ProcessGroup | None = None) -> LearnerHistory:
    """Loads weights and state into `ppo`, which was built with the same settings; every process of `group` must call
    it, and None is a single process. Raises CheckpointError.
    """
    if (path / _FORMER_FILE).is_file():
        raise CheckpointError(
            f"{path} was written by an earlier release, whose optimizer state is not read. It is a model's folder: "
            "start a new run with it as model.path, or finish this run with the release that began it"
        )
    try:
        manifest = read_manifest(path)
        history = read_history(path / HISTORY_FILE)
        saved = saved_tensors(path / TENSORS)
        tensors = tensors_of(ppo, saved)
        rng = torch.get_rng_state()
        _require_all_read(saved.keys() - tensors.keys() - {"rng"})
        read_into(tensors | {"rng": rng}, path / TENSORS, group)
    except (TensorFilesError, HistoryError, OSError) as error:
        raise CheckpointError(
            f"{path}: {error}; it was written with other learner settings or is damaged: restore the settings "
            "(learner.value.kind and learner.lora among them), or remove the folder to resume from the previous one"
        ) from error
    torch.set_rng_state(rng)
    for prefix, optimizer in _optimizers(ppo):
        optimizer.restore(_below(prefix, tensors))
    ppo.skips_in_a_row = manifest.skips_in_a_row
    return history


def read_manifest(path: Path) -> Manifest:
    """The manifest of a checkpoint whose files are complete. Raises TensorFilesError."""
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
        if manifest.format != _FORMAT:
            raise TensorFilesError(f"format {manifest.format}, and this release reads {_FORMAT}")
        for name, size in manifest.files.items():
            found = (path / TENSORS / name).stat().st_size
            if found != size:
                raise TensorFilesError(f"{TENSORS}/{name} has {found} bytes of {size}")
    except (OSError, msgspec.MsgspecError) as error:
        raise TensorFilesError(f"{MANIFEST}: {error}") from error
    return manifest


def _require_all_read(unread: Collection[str]) -> None:
    if unread:
        raise TensorFilesError(f"{min(unread)} is in the files, and this learner has none")


def tensors_of(ppo: PPO, saved: Mapping[str, object] | None = None) -> dict[str, Tensor]:
    """The learner's tensors by name, as they are; to read a checkpoint that has `saved`, with empty ones for the
    optimizers' state.
    """
    found = {f"{POLICY}{name}": tensor for name, tensor in own_tensors(ppo.policy).items()}
    if ppo.value is not None:
        found |= {f"value.{name}": tensor for name, tensor in ppo.value.state_dict().items()}
    for prefix, optimizer in _optimizers(ppo):
        own = optimizer.tensors() if saved is None else optimizer.empty_tensors(_below(prefix, saved))
        found |= {f"{prefix}{name}": tensor for name, tensor in own.items()}
    return found


def _optimizers(ppo: PPO) -> Iterator[tuple[str, Optimizer]]:
    """Each optimizer with the prefix of its tensors."""
    yield "policy_optimizer.", ppo.policy_optimizer
    if ppo.value_optimizer is not None:
        yield "value_optimizer.", ppo.value_optimizer


def _below(prefix: str, named: Mapping[str, T]) -> dict[str, T]:
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
