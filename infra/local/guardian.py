"""A process that kills what its parent started once the parent is gone, however it went.

Invariant: after the parent's end no registered process group lives longer than the grace. Linux kills the direct
children by itself (PR_SET_PDEATHSIG); their own children, and everything on other systems, end here.
Run as a file with `python -I -S`, so it imports the standard library only and costs 8 MB.

Protocol on standard input, one line each: `+PGID SIGNAL` registers a group and the signal that ends it,
`-PGID` forgets it. End of file, or another parent process, means the parent is gone.
"""

import os
import select
import signal
import sys
import time

GRACE_SECONDS = 5.0
"""For groups that end by another signal than SIGKILL: a database's fast shutdown."""
_PARENT_POLL_SECONDS = 1.0
"""A forked child of the parent may hold the pipe open; the parent's id tells then."""


def read_groups(parent: int) -> dict[int, int]:
    """Follow the registrations until the parent is gone; the groups that are left, with their signals."""
    groups: dict[int, int] = {}
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
        if os.getppid() != parent:
            return groups
        if not readable:
            continue
        data = os.read(0, 65536)
        if not data:
            return groups
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            apply(line.decode(), groups)


def apply(line: str, groups: dict[int, int]) -> None:
    """One registration line."""
    if line.startswith("+"):
        group, number = line[1:].split()
        groups[int(group)] = int(number)
    else:
        groups.pop(int(line[1:]), None)


def kill_group(group: int, number: int) -> bool:
    """Signal the group; False where none of it is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # a zombie-only group answers EPERM on some systems
        return False
    return True


def end_groups(groups: dict[int, int]) -> None:
    """Send each group its signal, and SIGKILL to those that are there after the grace."""
    waiting = {group for group, number in groups.items() if kill_group(group, number) and number != signal.SIGKILL}
    deadline = time.monotonic() + GRACE_SECONDS
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = {group for group in waiting if kill_group(group, 0)}
    for group in waiting:
        kill_group(group, signal.SIGKILL)


if __name__ == "__main__":
    end_groups(read_groups(int(sys.argv[1])))
