"""`serve learner` as several processes: this one becomes torchrun, which starts the same command so many times.

Invariant: a process that torchrun started is never spread again, so that torchrun by hand, on one host or on many, has
the number of processes that it was given.
"""

import os
import sys
from collections.abc import Sequence

_STARTED_BY_TORCHRUN = "RANK"
"""In the environment of each process that torchrun starts: its number, from 0."""


def spread(processes: int) -> None:
    """Does not return where processes are to be started: the learner's process id becomes torchrun's."""
    if processes > 1 and _STARTED_BY_TORCHRUN not in os.environ:
        os.execv(sys.executable, torchrun(processes, sys.argv[1:]))  # noqa: S606 (its own command again)


def torchrun(processes: int, arguments: Sequence[str]) -> list[str]:
    """The command line. torchrun ends all processes when one ends in an error; who started it starts all again."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*launcher, "-m", "infra.cli.main", *arguments]


def leads() -> bool:
    """Whether this process speaks for the learner: it is its only one, or the first."""
    return os.environ.get(_STARTED_BY_TORCHRUN, "0") == "0"
