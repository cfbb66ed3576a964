"""Plain subprocesses, for hosts on which bubblewrap cannot work: bounded in memory, processes, time and output, but
not shut in.

Invariants
- It claims no more than it enforces. Network and files are as the user's that it runs as: a uid of its own that owns
  nothing if the service is root, else the service's own.
- A program never runs as root. If only root can read the interpreter, the program's uid keeps the capability of reading
  files and no other: it can signal no process of the host and write no file of it.

What a program leaves running is found three ways: by its cgroup, by its uid, or, since orphans become this process's
children (see reaping), as those of our children that we did not start.
"""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import BOUNDS, Isolation, ProgramLimits, SandboxError
from workers.sandbox.cgroups import CgroupRoot
from workers.sandbox.inside_init import drop_privileges
from workers.sandbox.interpreter import BOOT, FLAGS, Interpreter, init_code, launch
from workers.sandbox.owner_marks import is_left_over, own_name
from workers.sandbox.process_tree import GONE_SECONDS, ProcessTree
from workers.sandbox.reaping import children_of, kill_adopted, kill_user, tasks_of_user
from workers.sandbox.rlimits import rlimits
from workers.sandbox.slots import UidSlot, UidSlots

PREFIX = "rewardstream-sandbox-"
FOREIGN_UID = 61184
"""A user who owns nothing, to find out what such a user can read."""
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


class SubprocessLauncher:
    def __init__(
        self, settings: SandboxSettings, preload: tuple[str, ...], cgroups: CgroupRoot | None, why: str = ""
    ) -> None:
        self._interpreter = Interpreter.own(packages=settings.packages)
        self._preload = list(preload)
        self._drops = os.geteuid() == 0
        self._capability = _capability_to_read(self._interpreter.path(inside=False)) if self._drops else None
        self._slots = UidSlots(cgroups, own_uids=self._drops)
        missing = {"network", "files"}
        missing |= set() if cgroups else {"cgroup"}
        missing |= set() if self._drops and self._capability is None else {"uid"}
        self.isolation = Isolation(
            name="subprocess",
            enforced=tuple(bound for bound in BOUNDS if bound not in missing),
            missing=tuple(bound for bound in BOUNDS if bound in missing),
            why=why,
        )

    def start(self, file_bytes: int) -> ProcessTree:  # noqa: ARG002  the place's limits have it
        """`file_bytes` bounds each file. Raises SandboxError."""
        known = children_of(os.getpid())
        argv = [str(self._interpreter.executable), *FLAGS, "-c", BOOT]
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{own_name()}"
        environment = self._interpreter.environment(inside=False) | {"HOME": str(folder), "TMPDIR": str(folder)}
        try:
            folder.mkdir(mode=0o700)
            with self._slots.lend() as slot:
                if slot.uid is not None:
                    os.chown(folder, slot.uid, slot.uid)
                process, channel = launch(argv, environment, slot.groups, start_new_session=True)
        except OSError as error:
            raise SandboxError(f"a sandbox could not be started: {error}") from error
        tree = ProcessTree(process, channel, _SlotAndFolder(self._slots, slot, folder, process.pid, known))
        path = self._interpreter.path(inside=False)
        given = {"uid": slot.uid, "folder": str(folder), "groups": slot.groups}
        given |= {"capability": self._capability, "guard": os.getpid()}
        tree.boot(init_code(), given | {"path": path, "preload": self._preload})
        return tree

    def close(self) -> None:
        self._slots.close()


@dataclass(frozen=True, slots=True)
class _SlotAndFolder:
    slots: UidSlots
    slot: UidSlot
    folder: Path
    pid: int
    known: set[int]
    """This process's children when the tree started."""

    def bound(self, limits: ProgramLimits, *, python: bool) -> dict[str, int]:
        found = rlimits(limits, python=python, cgroup=self.slot.cgroup is not None)
        if self.slot.cgroup:
            self.slot.cgroup.limit(limits.memory_bytes, limits.processes)
        if self.slot.uid is not None:
            return found | {"RLIMIT_NPROC": limits.processes}
        if os.geteuid() != 0:
            return found | {"RLIMIT_NPROC": tasks_of_user() + limits.processes}
        return found

    def memory_killed(self) -> bool:
        return self.slot.cgroup is not None and self.slot.cgroup.killed_for_memory()

    def clear(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.slot.cgroup is not None:
            self.slot.cgroup.kill()
        if self.slot.uid is not None and not (self.slot.cgroup and self.slot.cgroup.empty):
            kill_user(self.slot.uid)  # costs a fork, and no program leaves its cgroup
        kill_adopted(self.known, GONE_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        self.slots.give(self.slot)


def sweep() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if is_left_over(folder.name.removeprefix(PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)


def _capability_to_read(paths: list[str]) -> int | None:
    """The capability that a user who owns nothing needs to read the interpreter: none, unless only root can read it, as
    one under /root. Raises SandboxError if none helps.
    """
    for capability in (None, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if _reachable(paths, capability):
            return capability
    raise SandboxError(
        f"programs do not run as root, and no other user can read {paths[0]}: install the interpreter outside of "
        "root's home, or bubblewrap (apt-get install bubblewrap)"
    )


def _reachable(paths: list[str], capability: int | None) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            drop_privileges(FOREIGN_UID, capability)
            for path in paths:
                os.listdir(path)  # noqa: PTH208  raises if it may not
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
