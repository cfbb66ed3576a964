"""The processes of one learner, as torchrun started them.

Invariant: process 0 leads. The others execute its commands in the order in which it sends them, so that every process
meets every collective in the same order. Commands travel over `cpu_group`, a gloo group on the CPU that is separate
from the group that the GPUs use.
"""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from infra.settings.learner import DeviceKind
from trainer.distributed.device import chosen_device

_TIMEOUT = timedelta(minutes=30)
"""Bounds a hang only: a process that dies closes its connections, which ends the others at once. It is far above the
longest wait without a hang, which is for the slowest process to write its part of a checkpoint."""


_M_MMAP_THRESHOLD = -3
"""mallopt's number of the option (mallopt(3)), which turns off that the limit grows."""
_MMAP_BYTES = 2**17
"""glibc's initial value: smaller blocks are not worth a call of the kernel each."""


class LeaderGoneError(RuntimeError):
    """The leader of this follower has ended."""


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    rank: int
    size: int
    mesh: DeviceMesh
    cpu_group: dist.ProcessGroup
    """Commands, rows and small tensors."""
    checkpoint_group: dist.ProcessGroup
    """For the thread that writes a checkpoint, which would disturb the collectives of another group."""

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    def broadcast(self, command: Any) -> None:
        """Sends a command to every follower; only the leader calls it. Returns when the command is sent."""
        dist.broadcast_object_list([command], src=0, group=self.cpu_group)

    def receive(self) -> Any:
        """Waits for the leader's next command; only followers call it. Raises LeaderGoneError."""
        box: list[Any] = [None]
        try:
            dist.broadcast_object_list(box, src=0, group=self.cpu_group)
        except RuntimeError as error:
            raise LeaderGoneError(
                f"process {self.rank} of {self.size}: process 0 of this learner ended; its own log says why"
            ) from error
        return box[0]

    def scatter(self, parts: Sequence[Any]) -> Any:
        """Sends each process its part, by rank; only the leader calls it, and gets its own."""
        dist.scatter_object_list([None], [None, *parts[1:]], src=0, group=self.cpu_group)
        return parts[0]

    def receive_part(self) -> Any:
        """Waits for this process's part of what the leader scatters; only followers call it."""
        box: list[Any] = [None]
        dist.scatter_object_list(box, None, src=0, group=self.cpu_group)
        return box[0]

    def reply(self, answer: Any) -> None:
        """Answers a command that asks for an answer; only followers call it."""
        dist.gather_object(answer, None, dst=0, group=self.cpu_group)

    def gather(self, own: Any) -> list[Any]:
        """Collects everyone's answers, by rank; only the leader calls it, with its own answer."""
        found: list[Any] = [None] * self.size
        dist.gather_object(own, found, dst=0, group=self.cpu_group)
        return found


def world_size() -> int:
    """Number of processes of this learner: torchrun's WORLD_SIZE, or 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join_process_group(kind: DeviceKind) -> ProcessGroup:
    """Joins the other processes, as torchrun's RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT describe them.

    `kind` is learner.device. Raises DeviceError, and RuntimeError if the other processes cannot be reached.
    """
    device = chosen_device(kind)
    _return_freed_memory()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cuda:nccl,cpu:gloo" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    size = dist.get_world_size()
    groups = [dist.new_group(backend="gloo", timeout=_TIMEOUT) for _ in range(2)]
    mesh = init_device_mesh(device.type, (size,))
    return ProcessGroup(dist.get_rank(), size, mesh, *(_joined(group) for group in groups))


def _return_freed_memory() -> None:
    """Makes glibc give each freed tensor back to the system. It keeps freed blocks of up to 32 MiB otherwise, which for
    the gathered layers adds up to more than this process's part of the model. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def _joined(group: Any) -> dist.ProcessGroup:
    assert isinstance(group, dist.ProcessGroup)
    return group
