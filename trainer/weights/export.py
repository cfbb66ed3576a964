"""Makes a model's folder, or an adapter's, of a learner's checkpoint, so that its policy can be loaded as a model.

Invariant: the exported folder is complete or absent, and has the policy's weights as the learner held them.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.core_model_loading import revert_weight_conversion

from infra.files.folders import atomic_folder, copy_description
from trainer.distributed.tensor_files import read_into, saved_tensors
from trainer.weights.checkpoint import HISTORY_FILE, MANIFEST, POLICY, TENSORS, read_manifest
from trainer.weights.model_writer import write_model_files, write_tensors
from workers.engines.adapters import is_adapter
from workers.models.model_files import ADAPTER_FILE


def is_checkpoint(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def exported(checkpoint: Path, cache: Path) -> Path:
    """The folder under `cache` that has the checkpoint's policy; it is made at the first call, in a single process that
    holds the whole policy. Raises OSError, TensorFilesError.
    """
    digest = hashlib.sha256(f"{checkpoint.resolve()} {(checkpoint / MANIFEST).stat().st_mtime_ns}".encode())
    target = cache / f"{checkpoint.name}-{digest.hexdigest()[:16]}"
    if not target.is_dir():
        with atomic_folder(target, replace=False) as folder:
            export_policy(checkpoint, folder)
    return target


def export_policy(checkpoint: Path, folder: Path) -> None:
    """Writes the checkpoint's policy into the folder. Raises OSError, TensorFilesError."""
    read_manifest(checkpoint)
    wanted = saved_tensors(checkpoint / TENSORS)
    tensors = {
        name: torch.empty(like.shape, dtype=like.dtype) for name, like in wanted.items() if name.startswith(POLICY)
    }
    read_into(tensors, checkpoint / TENSORS, None)
    copy_description(checkpoint, folder)
    for name in (MANIFEST, HISTORY_FILE):
        (folder / name).unlink()
    own = {name.removeprefix(POLICY): tensor for name, tensor in tensors.items()}
    if is_adapter(checkpoint):
        write_tensors(own, folder / ADAPTER_FILE)
        return
    with torch.device("meta"):
        auto: Any = AutoModelForCausalLM
        model = auto.from_config(AutoConfig.from_pretrained(checkpoint))
    write_model_files(revert_weight_conversion(model, own).items(), folder)
