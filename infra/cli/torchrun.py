"""`serve learner` as several processes: this process becomes torchrun, which starts the same command N times.

Invariant: a process that torchrun started never starts torchrun again. If you call torchrun yourself, on one host or on
many, the number of processes is the one that you gave.
"""

import os
import sys
from collections.abc import Sequence

_STARTED_BY_TORCHRUN = "RANK"
"""Environment variable that torchrun sets in each process that it starts: the process's rank, from 0."""
_RANK_ON_HOST = "LOCAL_RANK"
"""The same among the processes of one host."""
_PATIENCE_SECONDS = 3600
"""Time that torchrun leaves its processes after it was asked to stop: a step's end and the last checkpoint. Its own
default of 30 s would cut a large one off; how long a stop may take is up to who supervises it."""


def spread(processes: int) -> None:
    """Becomes torchrun if `processes` is more than 1, and does not return then; the process id stays the same."""
    if processes > 1 and _STARTED_BY_TORCHRUN not in os.environ:
        os.execv(sys.executable, torchrun(processes, sys.argv[1:]))  # noqa: S606 (its own command again)


def torchrun(processes: int, arguments: Sequence[str]) -> list[str]:
    """Command line of torchrun. It ends all processes if one ends in an error; the supervisor then starts all again."""
    options = ["--standalone", f"--nproc-per-node={processes}", f"--shutdown-timeout={_PATIENCE_SECONDS}"]
    return [sys.executable, "-m", "infra.cli.launch", *options, "-m", "infra.cli.main", *arguments]


def leads() -> bool:
    """Whether this is the learner's only process, or its first."""
    return os.environ.get(_STARTED_BY_TORCHRUN, "0") == "0"


def leads_host() -> bool:
    """Whether this is the only process of the learner on its host, or the first one there."""
    return os.environ.get(_RANK_ON_HOST, "0") == "0"
