"""The processes of one learner, as torchrun started them.

Invariant: process 0 leads. The others do what it orders, in its order, so that every collective meets its like; what
the orders are is told over `group`, a gloo group on the CPU, beside the one that the accelerators use.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from infra.settings.learner import DeviceKind
from trainer.distributed.device import chosen_device

_TIMEOUT = timedelta(minutes=30)
"""A member that died closes its connections, which ends the others at once; this only bounds a hang. Far above what the
others wait for without it: the leader's longest write, of a checkpoint."""


class LeaderGoneError(RuntimeError):
    """A follower has nobody to follow."""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    rank: int
    size: int
    mesh: DeviceMesh
    group: dist.ProcessGroup

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def broadcast(self, command: Any) -> None:
        """The leader's; returns when it is sent."""
        dist.broadcast_object_list([command], src=0, group=self.group)

    def receive(self) -> Any:
        """A follower's: the next order. Raises LeaderGoneError."""
        box: list[Any] = [None]
        try:
            dist.broadcast_object_list(box, src=0, group=self.group)
        except RuntimeError as error:
            raise LeaderGoneError(
                f"process {self.rank} of {self.size}: process 0 of this learner ended, and its own messages say why"
            ) from error
        return box[0]

    def reply(self, answer: Any) -> None:
        """A follower's, to an order that asks for one."""
        dist.gather_object(answer, None, dst=0, group=self.group)

    def gather(self, own: Any) -> list[Any]:
        """The leader's: what everyone answered, by rank; `own` is its own."""
        found: list[Any] = [None] * self.size
        dist.gather_object(own, found, dst=0, group=self.group)
        return found


def world_size() -> int:
    """Processes of this learner: torchrun's, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join_process_group(kind: DeviceKind) -> ProcessGroup:
    """With torchrun's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; `kind` is learner.device. Raises
    DeviceError, and RuntimeError where the others cannot be met.
    """
    device = chosen_device(kind)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cuda:nccl,cpu:gloo" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    size = dist.get_world_size()
    group = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    assert isinstance(group, dist.ProcessGroup)
    return ProcessGroup(dist.get_rank(), size, init_device_mesh(device.type, (size,)), group)
