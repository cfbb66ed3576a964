"""Gathers a tensor of a sharded model, as a single process would hold it.

Invariant: on a sharded tensor this is a collective: every process of the mesh calls it, in the same order.
"""

from torch import Tensor
from torch.distributed.tensor import DTensor


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor, on its own device; a tensor that is not sharded is returned as it is."""
    if isinstance(tensor, DTensor):
        full: Tensor = tensor.full_tensor()
        return full
    return tensor
