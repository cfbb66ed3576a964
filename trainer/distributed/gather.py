"""Gathers the tensors of a sharded model, as a single process would hold them.

Invariant: on a sharded tensor these functions are collectives: every process of the mesh calls them, in the same order.
"""

from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor, on its own device; a tensor that is not sharded is returned as it is."""
    if isinstance(tensor, DTensor):
        full: Tensor = tensor.full_tensor()
        return full
    return tensor


def full_state(tree: Any) -> Any:
    """Copies nested dicts and lists with every sharded tensor gathered on the CPU; other values stay as they are."""
    return tree_map(lambda leaf: full_tensor(leaf).cpu() if isinstance(leaf, DTensor) else leaf, tree)
