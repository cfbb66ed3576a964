"""Marks in names that say which process made a thing, so that a later one knows whether that process is gone.

Invariant: a mark holds the pid's namespace and the start time too, since pids come again, and containers that share
a folder count their own. What another namespace made is left alone.
"""

import os
import re
from itertools import count
from pathlib import Path

_MARK = re.compile(r"(\d+)-(\d+)-(\d+)(?:-.*)?\Z")
_numbers = count()
_START_TIME = 19
"""The field of /proc/PID/stat, counted after the command's name."""


def owner_mark() -> str:
    pid = os.getpid()
    return f"{_namespace()}-{pid}-{_start_time(pid)}"


def own_name() -> str:
    """Another one at each call: begins with this process's mark."""
    return f"{owner_mark()}-{next(_numbers)}"


def is_left_over(name: str) -> bool:
    """Whether the name begins with the mark of a process that is gone."""
    match = _MARK.match(name)
    if match is None or int(match[1]) != _namespace():
        return False
    return _start_time(int(match[2])) != int(match[3])


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[_START_TIME])
