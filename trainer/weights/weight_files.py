"""A policy's weights under the names of its template's files, which are those that an engine loads.

Transformers renames and fuses tensors when it loads a model, for example the experts of a mixture. Invariant: what
`as_in_files` returns, together with `untrained`, has exactly the names and shapes of the template's files, or
`require_template_shapes` has refused the policy when the learner started.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.core_model_loading import revert_weight_conversion

from workers.engines.weights import shapes_of, weight_files


class WeightNamesError(ValueError):
    """Engines could not load what the learner would publish; the text names the first tensor that differs."""


def as_in_files(policy: Any, tensors: Mapping[str, Tensor], template: Path) -> dict[str, Tensor]:
    """The policy's tensors as files hold them. Tied tensors appear under each name that the template's files have.

    Raises OSError if the template cannot be read.
    """
    found: dict[str, Tensor] = revert_weight_conversion(policy, dict(tensors))
    wanted = shapes_of(template)
    if policy.config.tie_word_embeddings:
        tied: Mapping[str, str] = getattr(policy, "_tied_weights_keys", None) or {}
        copies = {target: found[source] for target, source in tied.items() if source in found}
        found |= {name: tensor.clone() for name, tensor in copies.items() if name in wanted and name not in found}
    return found


def untrained(template: Path, trained: Collection[str]) -> dict[str, Tensor]:
    """The template's tensors that the policy does not have, such as layers that predict several tokens ahead. Engines
    expect them in every version. Raises OSError.
    """
    kept: dict[str, Tensor] = {}
    for file in weight_files(template):
        with safe_open(file, "pt") as tensors:
            kept |= {name: tensors.get_tensor(name) for name in set(tensors.keys()) - set(trained)}
    return kept


def require_template_shapes(policy: Any, tensors: Mapping[str, Tensor], template: Path) -> None:
    """Raises WeightNamesError if a tensor to publish has a name or a shape that the template's files do not have."""
    empty = {name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for name, tensor in tensors.items()}
    expected = shapes_of(template)
    for name, tensor in sorted(as_in_files(policy, empty, template).items()):
        if expected.get(name) != tuple(tensor.shape):
            raise WeightNamesError(
                f"{template}: the learner would publish {name} as {tuple(tensor.shape)}, and the folder's files have "
                f"{expected.get(name, 'no such tensor')}; save the model again with save_pretrained of transformers, "
                "and use that folder as model.path"
            )
