"""Finds a model's repeated layers, and makes them recompute their activations in the backward pass.

Invariant: recomputing changes neither outputs nor gradients, because a forward pass draws no random numbers: models are
trained without dropout (`trainer.step.language_models.load_causal_lm`).
"""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The modules whose classes are in transformers' `_no_split_modules`, in order; an empty list if it names none."""
    names = set(getattr(model, "_no_split_modules", None) or ())
    # FSDP2 makes a subclass of a sharded layer's class
    return [module for module in model.modules() if any(kind.__name__ in names for kind in type(module).__mro__)]


def recompute_activations(model: nn.Module) -> None:
    """Makes each layer keep only its input and run again in the backward pass (gradient checkpointing, 1604.06174).

    Transformers' own switch works only in train mode, which turns dropout on. The layer's class and parameter names do
    not change; wrappers of its call, such as FSDP2's hooks, are not run again. Raises ValueError if the model names no
    layers.
    """
    layers = layers_of(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} names no layers (_no_split_modules), so learner.gradient_checkpointing cannot "
            "recompute any: set it to false"
        )
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
