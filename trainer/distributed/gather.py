"""Tensors of a sharded model as a single process would hold them.

Invariant: on a tensor that is sharded these are collective: every process of the mesh calls them, in the same order.
"""

from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._pytree import tree_map


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor, on its device; a plain tensor as it is."""
    if isinstance(tensor, DTensor):
        full: Tensor = tensor.full_tensor()
        return full
    return tensor


def full_state(tree: Any) -> Any:
    """Nested dicts and lists with every sharded tensor whole, on the CPU; all else as it is."""
    return tree_map(lambda leaf: full_tensor(leaf).cpu() if isinstance(leaf, DTensor) else leaf, tree)
