"""Reads and writes a policy's folder: full weights, or an adapter for the model that the run started from.

Invariant: with the same learner.lora, `load_policy` reads what `write_policy` wrote, in any number of processes.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from infra.files.folders import copy_description
from infra.settings.learner import LoraSettings
from trainer.distributed.gather import full_tensor
from trainer.step.language_models import load_causal_lm
from trainer.weights import lora
from workers.engines.adapters import is_adapter
from workers.models.model_files import ADAPTER_FILE


class PolicyFilesError(ValueError):
    """The folder holds another kind of weights than learner.lora asks for."""


def load_policy(folder: Path, template: Path, settings: LoraSettings) -> Any:
    """The policy of a checkpoint, or the initial one if `folder` is `template`; in float32, not sharded.

    Raises OSError or ValueError if it does not load, PolicyFilesError if the folder has an adapter and `settings` asks
    for none or the reverse, and LoraError if the settings match no layer.
    """
    if settings.rank == 0:
        if is_adapter(folder):
            raise PolicyFilesError(f"{folder} holds an adapter: set learner.lora.rank as it was, or remove the folder")
        return load_causal_lm(folder)
    policy = lora.adapt(load_causal_lm(template), settings, template)
    if folder != template:
        if not is_adapter(folder):
            raise PolicyFilesError(f"{folder} holds full weights: set learner.lora.rank to 0, or remove the folder")
        lora.load_adapter(policy, folder)
    return policy


def policy_state(policy: Any) -> dict[str, Tensor]:
    """The tensors to write, gathered: those of the adapter if there is one, else the policy's own.

    Tied tensors appear once, as in transformers' files. If the policy is sharded, every process must call it.
    """
    return {name: full_tensor(tensor.detach()) for name, tensor in own_tensors(policy).items()}


def own_tensors(policy: Any) -> dict[str, Tensor]:
    """The tensors of `policy_state`, not gathered."""
    if lora.is_adapted(policy):
        return lora.adapter_tensors(policy)
    tied = set(getattr(policy, "_tied_weights_keys", None) or ()) if policy.config.tie_word_embeddings else set()
    return {name: tensor for name, tensor in policy.state_dict().items() if name not in tied}


def write_policy(policy: Any, state: dict[str, Tensor], template: Path, folder: Path) -> None:
    """Writes `state`, the result of `policy_state`, into `folder`. Raises OSError."""
    if lora.is_adapted(policy):
        lora.adapter_config(policy).save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / ADAPTER_FILE)
        return
    copy_description(template, folder)
    policy.save_pretrained(folder, state_dict=state)
