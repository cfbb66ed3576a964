"""Builds a policy from its folder, and names the tensors of it that a run changes.

Invariant: the same folder and settings give the same policy in any number of processes.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from infra.settings.learner import LoraSettings
from trainer.step.language_models import load_causal_lm
from trainer.weights import lora


def load_policy(template: Path, settings: LoraSettings, mesh: DeviceMesh | None = None) -> Any:
    """The run's initial policy, in float32; with an adapter that changes nothing yet if `settings` asks for one. With a
    mesh it is sharded over it, and every process of the mesh must call this.

    Raises OSError or ValueError if it does not load, and LoraError if the settings match no layer.
    """
    if settings.rank == 0:
        return load_causal_lm(template, mesh)
    if mesh is None:
        return lora.adapt(load_causal_lm(template), settings, template)
    return load_causal_lm(template, mesh, lora.LateAdapter(settings, template))


def own_tensors(policy: Any) -> dict[str, Tensor]:
    """The tensors that a run changes, as they are, not gathered: those of the adapter if there is one, else all. Tied
    tensors appear once, as in transformers' files.
    """
    if lora.is_adapted(policy):
        return lora.adapter_tensors(policy)
    tied = set(getattr(policy, "_tied_weights_keys", None) or ()) if policy.config.tie_word_embeddings else set()
    return {name: tensor for name, tensor in policy.state_dict().items() if name not in tied}
