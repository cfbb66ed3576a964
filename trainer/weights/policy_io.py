"""The policy from its folder and into it: whole weights, or the model it started from and an adapter.

Invariant: what `write_policy` wrote, `load_policy` reads under the same learner.lora, in any number of processes.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from infra.files.folders import copy_description
from infra.settings.learner import LoraSettings
from trainer.distributed.gather import full_tensor
from trainer.step.models import load_causal_lm
from trainer.weights import lora
from workers.engines.adapters import is_adapter
from workers.models.model_files import ADAPTER_FILE


class PolicyFilesError(ValueError):
    """A folder that holds another policy than learner.lora asks for."""


def load_policy(folder: Path, template: Path, settings: LoraSettings) -> Any:
    """From a checkpoint's folder, or from `template` where that is `folder`; float32, not sharded.

    Raises OSError or ValueError where it does not load, PolicyFilesError where it holds what `settings` does not ask
    for, LoraError where they fit no layer.
    """
    if settings.rank == 0:
        if is_adapter(folder):
            raise PolicyFilesError(f"{folder} holds an adapter: set learner.lora.rank as it was, or remove the folder")
        return load_causal_lm(folder)
    policy = lora.adapt(load_causal_lm(template), settings, template)
    if folder != template:
        if not is_adapter(folder):
            raise PolicyFilesError(f"{folder} holds whole weights: set learner.lora.rank to 0, or remove the folder")
        lora.load_adapter(policy, folder)
    return policy


def policy_state(policy: Any) -> dict[str, Tensor]:
    """The tensors that are written of a policy, whole: an adapter's or its own, tied ones once, as transformers writes
    them. Where the policy is sharded, every process must call it.
    """
    return {name: full_tensor(tensor.detach()) for name, tensor in own_tensors(policy).items()}


def own_tensors(policy: Any) -> dict[str, Tensor]:
    """The same, as they are."""
    if lora.is_adapted(policy):
        return lora.adapter_tensors(policy)
    tied = set(getattr(policy, "_tied_weights_keys", None) or ()) if policy.config.tie_word_embeddings else set()
    return {name: tensor for name, tensor in policy.state_dict().items() if name not in tied}


def write_policy(policy: Any, state: dict[str, Tensor], template: Path, folder: Path) -> None:
    """`state`: of `policy_state`. Raises OSError."""
    if lora.is_adapted(policy):
        lora.adapter_config(policy).save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / ADAPTER_FILE)
        return
    copy_description(template, folder)
    policy.save_pretrained(folder, state_dict=state)
