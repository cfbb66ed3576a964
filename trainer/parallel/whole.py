"""Tensors of a sharded model as a single process would hold them.

Invariant: on a tensor that is sharded these are collective: every process of the mesh calls them, in the same order.
"""

from torch import Tensor
from torch.distributed.tensor import DTensor


def whole(tensor: Tensor) -> Tensor:
    """The full tensor, on its device; a plain tensor as it is."""
    if isinstance(tensor, DTensor):
        full: Tensor = tensor.full_tensor()
        return full
    return tensor
