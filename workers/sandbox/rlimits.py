"""The limits of each process of a program, which inside_init sets, by their names in `resource`."""

import math

from workers.sandbox.base import ProgramLimits

FILES = 256
"""Open files of one process: twice what a busy honest program has."""
CPU_MARGIN_SECONDS = 1
"""The wall clock decides; the limit on CPU time ends what would escape it."""


def rlimits(limits: ProgramLimits, *, python: bool, cgroup: bool) -> dict[str, int]:
    """The memory limit is Python's address space. Other interpreters reserve far more than they use; theirs is
    counted by the cgroup, or, without one, as what they can write to.
    """
    found = {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": math.ceil(limits.wall_seconds) + CPU_MARGIN_SECONDS,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": FILES,
    }
    if python:
        return found | {"RLIMIT_AS": limits.memory_bytes}
    return found if cgroup else found | {"RLIMIT_DATA": limits.memory_bytes}
