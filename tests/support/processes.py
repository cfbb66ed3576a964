"""Starts the processes of one learner, as torchrun would, without importing torch and transformers in each anew."""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import torch
from torch.distributed import destroy_process_group
from torch.multiprocessing.spawn import start_processes

from infra.local.ports import LOOPBACK, free_port
from trainer.distributed.process_group import ProcessGroup, join_process_group

_PRELOADED = ["trainer.leader.coordinator", "trainer.weights.build_models", "trainer.weights.publish"]


def run_processes(function: Callable[..., None], size: int, *args: Any) -> None:
    """Calls `function(processes, *args)` in `size` processes, to their end. A module of `support` defines the function.

    Raises ProcessRaisedException or ProcessExitedException.
    """
    multiprocessing.set_forkserver_preload(_PRELOADED)
    start_processes(_member, (size, free_port(), function, args), nprocs=size, start_method="forkserver")


def _member(rank: int, size: int, port: int, function: Callable[..., None], args: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    processes: ProcessGroup = join_process_group("cpu")
    function(processes, *args)
    destroy_process_group()
