"""A process that kills what its parent started as soon as the parent is gone, however the parent ended.

Invariant: after the parent's end, no registered process group lives longer than the grace period. Linux kills the
direct children by itself (PR_SET_PDEATHSIG); their own children, and everything on other systems, are killed here.
It is run as a file with `python -I -S`, so it imports the standard library only and costs 8 MB.

Protocol on standard input, one line each: `+PGID SIGNAL` registers a group and the signal that ends it,
`-PGID` forgets it. End of file, or another parent process, means that the parent is gone.
"""

import os
import select
import signal
import sys
import time

GRACE_SECONDS = 5.0
"""Grace period of groups that are ended by a signal other than SIGKILL, such as a database's fast shutdown."""
_PARENT_POLL_SECONDS = 1.0
"""A forked child of the parent may keep the pipe open; the change of the parent's id shows its end then."""


def read_groups(parent: int) -> dict[int, int]:
    """Follows the registrations until the parent is gone; returns the groups that are left, with their signals."""
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
    """Applies one registration line."""
    if line.startswith("+"):
        group, number = line[1:].split()
        groups[int(group)] = int(number)
    else:
        groups.pop(int(line[1:]), None)


def kill_group(group: int, number: int) -> bool:
    """Signals the group; returns False if none of it is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # a group of zombies only answers EPERM on some systems
        return False
    return True


def end_groups(groups: dict[int, int]) -> None:
    """Sends each group its signal, and SIGKILL to the groups that are left after the grace period."""
    waiting = {group for group, number in groups.items() if kill_group(group, number) and number != signal.SIGKILL}
    deadline = time.monotonic() + GRACE_SECONDS
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = {group for group in waiting if kill_group(group, 0)}
    for group in waiting:
        kill_group(group, signal.SIGKILL)


if __name__ == "__main__":
    end_groups(read_groups(int(sys.argv[1])))
