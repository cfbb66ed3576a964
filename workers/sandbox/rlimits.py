"""The limits of each process of a program, which the first stage sets: by their names in `resource`."""

import math

from workers.sandbox.base import Limits

FILES = 256
"""Open files of one process: twice what a busy honest program has."""
CPU_MARGIN_SECONDS = 1
"""The wall clock decides; the limit on CPU time ends what would escape it."""


def rlimits(limits: Limits, *, address_space: bool) -> dict[str, int]:
    """`address_space`: also of memory. Not where a cgroup counts it and the interpreter maps far more than it uses."""
    found = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": math.ceil(limits.wall_seconds) + CPU_MARGIN_SECONDS,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": FILES,
    }
    return found | ({"RLIMIT_AS": limits.memory_bytes} if address_space else {})
