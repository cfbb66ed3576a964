"""A model's repeated layers, and keeping only their inputs for the backward pass.

Invariant: what recomputes its activations gives the same outputs and gradients, in any mode: the computation draws
nothing, as models are trained without dropout (`trainer.step.models.load_causal_lm`).
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def layers_of(model: nn.Module, described_by: nn.Module | None = None) -> list[nn.Module]:
    """The modules that transformers names as not to be split, in order; none where it names none. `described_by`: who
    names them, where that is not `model` itself.
    """
    names = set(getattr(described_by or model, "_no_split_modules", None) or ())
    return [module for module in model.modules() if type(module).__name__ in names]


def recompute_activations(model: nn.Module) -> None:
    """Each layer keeps its input and runs again in the backward pass (gradient checkpointing, 1604.06174).
    Transformers' own switch works only in train mode, which turns dropout on. Raises ValueError where it
    has no layer that is known.

    The layer's class and names stay, and what wraps its call, as FSDP2's hooks, is outside of what runs again.
    """
    layers = layers_of(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} names no layers (_no_split_modules), so learner.gradient_checkpointing cannot "
            "recompute any: set it to false"
        )
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
