"""Limits on a whole tree of processes: cgroup version 1 or 2, memory and pids, where their files can be written.

Invariant: a group's name says which process made it, so that a later process removes what it left.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workers.sandbox.owner_marks import is_left_over, own_name

PREFIX = "rewardstream-"
MOUNTS = Path("/proc/self/mountinfo")
OWN = Path("/proc/self/cgroup")
REMOVE_SECONDS = 1.0
"""Killed processes leave their group within milliseconds."""
_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of one version's files."""

    memory: tuple[str, ...]
    """Limits in bytes, in the order in which they must be written."""
    swap: str
    """Forbids swap in addition to the memory; a host without swap has no such file."""
    kills: str
    """Holds `oom_kill N`."""


V1 = Layout(
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), swap="memory.swappiness", kills="memory.oom_control"
)
V2 = Layout(("memory.max",), swap="memory.swap.max", kills="memory.events")


class Cgroup:
    """One group: a folder for each hierarchy that it is in."""

    def __init__(self, layout: Layout, memory: Path, pids: Path) -> None:
        self._layout = layout
        self._memory = memory
        self._pids = pids
        self._limits: tuple[int, int] | None = None
        self._kills = self._count_kills()

    @property
    def members(self) -> tuple[Path, ...]:
        """Files that a process writes its pid to."""
        return tuple(folder / "cgroup.procs" for folder in self._folders)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self._memory, self._pids)))

    @property
    def empty(self) -> bool:
        return not _members(self._folders)

    def limit(self, memory_bytes: int, processes: int) -> None:
        """Raises OSError."""
        if self._limits == (memory_bytes, processes):
            return
        self._limits = None
        files = [file for name in self._layout.memory if (file := self._memory / name).exists()]
        current = files[0].read_text().strip()
        grows = not current.isdigit() or int(current) < memory_bytes
        for file in reversed(files) if grows else files:  # memory with swap is never below memory
            file.write_text(str(memory_bytes))
        if (swap := self._memory / self._layout.swap).exists():
            swap.write_text("0")
        (self._pids / "pids.max").write_text(str(processes))
        self._limits = (memory_bytes, processes)

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed a process of it since the last call."""
        before, self._kills = self._kills, self._count_kills()
        return self._kills > before

    def kill(self) -> None:
        """Until nothing is left of it, for REMOVE_SECONDS at most."""
        kill_members(self._folders)

    def close(self) -> None:
        """Kills and removes the groups; one that the kernel still holds is left to the next start."""
        remove(self._folders)

    def _count_kills(self) -> int:
        for line in (self._memory / self._layout.kills).read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
        return 0


@dataclass(frozen=True, slots=True)
class CgroupRoot:
    """The folders in which groups can be made; under version 2 both are the same."""

    layout: Layout
    memory: Path
    pids: Path

    @classmethod
    def find(cls) -> Self | None:
        """The first place below which a group with both limits can be made, or None."""
        for layout, memory, pids in _places(OWN.read_text(), MOUNTS.read_text()):
            root = cls(layout, memory, pids)
            with suppress(OSError):
                group = root.make()
                with closing(group):
                    group.limit(2**28, 64)
                    return root
        return None

    def make(self) -> Cgroup:
        """Raises OSError."""
        name = f"{PREFIX}{own_name()}"
        folders = tuple(dict.fromkeys((self.memory / name, self.pids / name)))
        for folder in folders:
            folder.mkdir()
        return Cgroup(self.layout, self.memory / name, self.pids / name)

    def sweep(self) -> None:
        """Remove the groups of processes that are gone."""
        for folder in (*self.memory.glob(f"{PREFIX}*"), *self.pids.glob(f"{PREFIX}*")):
            if is_left_over(folder.name.removeprefix(PREFIX)):
                remove((folder,))


def kill_members(folders: Iterable[Path]) -> None:
    deadline = time.monotonic() + REMOVE_SECONDS
    while (pids := _members(folders)) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def remove(folders: Sequence[Path]) -> None:
    with suppress(OSError):  # one that is gone already
        kill_members(folders)
    deadline = time.monotonic() + REMOVE_SECONDS
    for folder in folders:
        while time.monotonic() < deadline:
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError:  # its processes are on their way out
                time.sleep(_POLL_SECONDS)
            else:
                break


def _members(folders: Iterable[Path]) -> set[int]:
    return {int(pid) for folder in folders for pid in (folder / "cgroup.procs").read_text().split()}


def _places(own: str, mountinfo: str) -> Iterator[tuple[Layout, Path, Path]]:
    """Own groups, then their parents, then the mounts: what is delegated to a service differs."""
    groups = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        groups.update(dict.fromkeys(names.split(","), path.lstrip("/")))
    mounts = _mounts(mountinfo)
    if "memory" in mounts and "pids" in mounts:
        memory, pids = mounts["memory"], mounts["pids"]
        yield V1, memory / groups.get("memory", ""), pids / groups.get("pids", "")
        yield V1, memory, pids
    if "" in mounts:
        base, own_group = mounts[""], mounts[""] / groups.get("", "")
        for folder in dict.fromkeys((own_group, own_group.parent, base)):
            if folder.is_relative_to(base) and _delegates(folder):
                yield V2, folder, folder


def _delegates(folder: Path) -> bool:
    with suppress(OSError):
        return {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text().split())
    return False


def _mounts(mountinfo: str) -> dict[str, Path]:
    """Mount point by controller; `` is version 2's."""
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        point = Path(fields.split(" ")[4])
        if kind == "cgroup2":
            found.setdefault("", point)
        elif kind == "cgroup":
            for name in {"memory", "pids"} & set(options.split(",")):
                found[name] = point
    return found
