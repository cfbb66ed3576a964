"""Initialises a value model from a folder: its trunk, and its scalar head if it has one.

Invariant: a value model that starts from a reward model gives a complete response the reward model's score.
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from transformers import AutoModel

from trainer.step.language_models import ValueModel
from trainer.step.sharded_models import inside, load_sharded, reshard, shard
from workers.models import packed_attention
from workers.models.packed_model import check_model

_HEADS = ("score", "v_head.summary", "value_head", "v_head")
"""Names of heads: transformers' sequence classifiers, TRL's value head, other common ones. Each has .weight and may
have .bias."""


class ValueInitError(ValueError):
    """No value model can start from this folder; the text says why."""


def value_model_from(folder: Path, vocabulary: int, mesh: DeviceMesh | None = None) -> ValueModel:
    """A value model in float32. `vocabulary` is the size of the policy's, whose token ids the model will read. With a
    mesh it is sharded over it, and every process of the mesh must call this. Raises ValueInitError, OSError,
    ModelMismatchError.
    """
    attention = packed_attention.implementation(folder)
    if mesh is None:
        trunk: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
    else:
        trunk = load_sharded(AutoModel, folder, mesh, attention)
    rows = trunk.get_input_embeddings().num_embeddings
    if rows < vocabulary:
        raise ValueInitError(
            f"learner.value.path = {folder}: {rows} token embeddings, but the policy has {vocabulary} tokens; a value "
            "model needs the policy's tokenizer"
        )
    model = ValueModel(trunk.config.hidden_size, trunk)
    head = scalar_head(folder)
    if head is not None:
        _set_head(model, *head, folder)
    elif any(name.endswith("ForSequenceClassification") for name in trunk.config.architectures or ()):
        raise ValueInitError(
            f"learner.value.path = {folder}: a reward model whose head is in no .safetensors file under one of the "
            f"names {', '.join(_HEADS)}; save it again with transformers"
        )
    if mesh is not None:
        shard(model, trunk, mesh)
    check_model(trunk.eval(), partial(inside, model))
    reshard(model)
    return model


def scalar_head(folder: Path) -> tuple[Tensor, Tensor | None] | None:
    """Weight [1, D] and bias [1] of the folder's head, float32; None if it has no head. Raises ValueInitError if the
    head has several labels.
    """
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            names = set(tensors.keys())
            for head in _HEADS:
                if f"{head}.weight" not in names:
                    continue
                weight = tensors.get_tensor(f"{head}.weight").float()
                if weight.dim() != 2 or weight.shape[0] != 1:
                    raise ValueInitError(
                        f"learner.value.path = {folder}: its head {head} has shape {list(weight.shape)}; a value needs "
                        "a reward model with one label"
                    )
                bias = tensors.get_tensor(f"{head}.bias").float() if f"{head}.bias" in names else None
                return weight, bias
    return None


def _set_head(model: ValueModel, weight: Tensor, bias: Tensor | None, folder: Path) -> None:
    if weight.shape != model.head.weight.shape:
        raise ValueInitError(
            f"learner.value.path = {folder}: a head of {weight.shape[1]} inputs on a trunk of {model.head.in_features}"
        )
    with torch.no_grad():
        model.head.weight.copy_(weight)
        if bias is not None:
            model.head.bias.copy_(bias)
