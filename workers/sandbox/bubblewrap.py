"""bubblewrap: namespaces of its own for each program, a file system of a few read-only binds and one small tmpfs.

Invariant: a program sees no process, no network, no file and no variable of the host but the interpreter's, and makes
no namespaces of its own. If the service is root, root sets it up, and inside_init drops to the slot's own uid
before it reads its job; started by a user, a user namespace does the same. The tree dies with the thread that started
it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import BOUNDS, Isolation, ProgramLimits, SandboxError
from workers.sandbox.cgroups import CgroupRoot
from workers.sandbox.interpreter import BOOT, FLAGS, Interpreter, init_code, launch
from workers.sandbox.process_tree import ProcessTree
from workers.sandbox.rlimits import rlimits
from workers.sandbox.slots import UidSlot, UidSlots
from workers.sandbox.syscalls import readable, syscall_filter

FOLDER = "/tmp"  # noqa: S108  inside, on a tmpfs of its own
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"lib": "/usr/lib", "lib32": "/usr/lib32", "lib64": "/usr/lib64", "bin": "/usr/bin", "sbin": "/usr/sbin"}
_ETC = ("/etc/ld.so.cache", "/etc/alternatives")
"""Programs in /usr need these: the index of the libraries, and the links that many commands are."""
UNPRIVILEGED = 65534
"""nobody, as the user namespace calls the service's own user."""


class BubblewrapLauncher:
    def __init__(
        self, settings: SandboxSettings, preload: tuple[str, ...], cgroups: CgroupRoot | None, *, proc: bool = True
    ) -> None:
        """`proc`: with a /proc of its own, which the kernel refuses in a container that masks parts of its own."""
        self._root = os.geteuid() == 0
        self._bwrap = shutil.which("bwrap")
        interpreter = Interpreter.own(packages=settings.packages)
        self._before, self._after = self._arguments(interpreter, proc=proc)
        path = interpreter.path(inside=True)
        self._setup = {"folder": FOLDER, "path": path, "preload": list(preload), "guard": None, "capability": None}
        self._filter = syscall_filter()
        self._slots = UidSlots(cgroups, own_uids=self._root)
        missing = () if cgroups else ("cgroup",)
        enforced = tuple(bound for bound in BOUNDS if bound not in missing)
        self.isolation = Isolation("bubblewrap", enforced, missing)

    def start(self, file_bytes: int) -> ProcessTree:
        """Raises SandboxError."""
        if self._bwrap is None:
            raise SandboxError("bwrap is not installed: apt-get install bubblewrap")
        arguments = [*self._before, str(file_bytes), *self._after]
        try:
            with self._slots.lend() as slot, self._filtering() as (option, descriptors):
                process, channel = launch([self._bwrap, *option, *arguments], {}, (*slot.groups, *descriptors))
        except OSError as error:
            raise SandboxError(f"a sandbox could not be started: {error}") from error
        tree = ProcessTree(process, channel, _SlotResources(self._slots, slot))
        tree.boot(init_code(), self._setup | {"uid": slot.uid, "groups": slot.groups})
        return tree

    def close(self) -> None:
        self._slots.close()

    @contextmanager
    def _filtering(self) -> Iterator[tuple[list[str], list[int]]]:
        """Arguments, and the descriptors that they name. Raises OSError."""
        if self._filter is None:
            yield [], []
            return
        descriptor = readable(self._filter)
        try:
            yield ["--seccomp", str(descriptor)], [descriptor]
        finally:
            os.close(descriptor)

    def _arguments(self, interpreter: Interpreter, *, proc: bool) -> tuple[list[str], list[str]]:
        """Returns the arguments that precede the size of the program's folder, and those that follow it."""
        found = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        found += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
        if self._root:
            found += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            found += ["--unshare-user", "--uid", str(UNPRIVILEGED), "--gid", str(UNPRIVILEGED)]
        for name, value in interpreter.environment(inside=True).items():
            found += ["--setenv", name, value]
        found += ["--ro-bind", "/usr", "/usr"]
        for name, target in _LINKS.items():
            if Path(target).is_dir():
                found += ["--symlink", target, f"/{name}"]
        found += ["--perms", "0755", "--dir", "/etc"]
        for path in _ETC:
            found += ["--ro-bind-try", path, path]
        found += interpreter.binds()
        found += ["--proc", "/proc"] if proc else []
        found += ["--perms", "0755", "--dir", "/dev"]
        for name in _DEVICES:
            found += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            found += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
        found += ["--symlink", "/proc/self/fd", "/dev/fd", "--symlink", FOLDER, "/dev/shm"]  # noqa: S108  inside
        found += ["--perms", "1777", "--size"]
        after = ["--tmpfs", FOLDER, "--remount-ro", "/", "--chdir", FOLDER]
        return found, [*after, "--", str(interpreter.inside), *FLAGS, "-c", BOOT]


@dataclass(frozen=True, slots=True)
class _SlotResources:
    """A slot; the tree and its files go with its first process."""

    slots: UidSlots
    slot: UidSlot

    def bound(self, limits: ProgramLimits, *, python: bool) -> dict[str, int]:
        if self.slot.cgroup:
            self.slot.cgroup.limit(limits.memory_bytes, limits.processes)
        return rlimits(limits, python=python, cgroup=self.slot.cgroup is not None) | {"RLIMIT_NPROC": limits.processes}

    def memory_killed(self) -> bool:
        return self.slot.cgroup is not None and self.slot.cgroup.killed_for_memory()

    def clear(self) -> None:
        pass

    def release(self) -> None:
        self.slots.give(self.slot)
