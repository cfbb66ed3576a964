"""The first code inside a sandbox: drops its privileges, waits for its one job, becomes the program.

Invariant: every privilege is gone before anything of a job is read, and every limit is in force before anything of a
program runs. It is the host's own code: compiled there, sent over the channel, and executed with `take` (from the
boot line) in its globals. It imports what the interpreter holds anyway, since each import delays every sandbox.

Host to inside: frames of eight bytes of length (little-endian) and marshal, which only the side that is less trusted
reads. Inside to host: READY, then nothing; the channel is closed to a program and open to a session's harness.
"""

import marshal
import os
import resource
import sys

TYPE_CHECKING = False  # typing's own would be imported
if TYPE_CHECKING:
    from typing import Any

READY = b"R"
MEMORY_EXIT = 117
"""Exit status of a program that ran out of address space. A program that exits with this code itself is reported as
OOM."""
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 8, 38, 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
SIGKILL = 9
CHANNEL = int(sys.argv[1]) if __name__ == "__main__" else -1


def take(size: int) -> bytes:
    """Reads exactly `size` bytes from the channel; ends the process if the host is gone."""
    found = bytearray()
    while len(found) < size:
        chunk = os.read(CHANNEL, min(size - len(found), 2**20))
        if not chunk:
            os._exit(0)
        found += chunk
    return bytes(found)


def receive() -> "Any":
    return marshal.loads(take(int.from_bytes(take(8), "little")))  # noqa: S302  the host is trusted here


def reply(line: bytes) -> None:
    """A session's harness answers; the line's end is added."""
    view = memoryview(line + b"\n")
    while view:
        view = view[os.write(CHANNEL, view) :]


def drop_privileges(uid: int | None, capability: int | None) -> None:
    """Becomes the unprivileged user; all capabilities go with the last id, except for `capability`, if one is named:
    that of reading any file, for an interpreter that only root can read. Signals then reach the user's own processes
    only, and no program that it starts gains anything.
    """
    if uid is not None:
        if capability is not None:
            prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        if capability is not None:
            keep_capability(capability)
            prctl(PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o077)


def keep_capability(number: int) -> None:
    """Keeps that capability and no other, also in the programs that are started from here."""
    import ctypes
    from struct import pack

    mask = 1 << number
    sets = pack("=6I", *(mask & 0xFFFFFFFF, mask & 0xFFFFFFFF, mask & 0xFFFFFFFF), *(mask >> 32,) * 3)
    if ctypes.CDLL(None, use_errno=True).capset(pack("=Ii", CAPABILITY_VERSION_3, 0), sets):
        raise OSError(ctypes.get_errno(), "capset")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)


def prctl(option: int, *arguments: int) -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(option, *arguments, *(0,) * (4 - len(arguments))):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def die_with(parent: int) -> None:
    """Call after setresuid(), which clears PR_SET_PDEATHSIG."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def leave(status: "Any" = None) -> None:
    """`exit` and `quit` of programs: those of `site`, which is not imported."""
    raise SystemExit(status)


def limit(limits: dict[str, int]) -> None:
    """Sets limits, by their names in `resource`."""
    for name, value in limits.items():
        which = getattr(resource, name)
        _, most = resource.getrlimit(which)
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(which, (bound, bound))


def place(files: dict[str, bytes], stdin: bytes) -> None:
    for name, data in files.items():
        with open(name, "xb") as file:  # noqa: PTH123  pathlib takes milliseconds to import
            file.write(data)
    descriptor = os.memfd_create("stdin")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(stdin)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)
    os.close(descriptor)


def run(job: "dict[str, Any]") -> None:
    """Never returns to another job: what follows is the program's."""
    place(job["files"], job["stdin"])
    limit(job["limits"])
    if job["argv"]:
        os.close(CHANNEL)
        os.execvp(job["argv"][0], job["argv"])  # noqa: S606  the job's program
    sys.argv = [job["name"], *job["arguments"]]
    module = type(sys)("__main__")
    sys.modules["__main__"] = module
    builtins = sys.modules["builtins"]
    builtins.exit = builtins.quit = leave  # type: ignore[attr-defined]  # site defines them
    module.__dict__["__builtins__"] = __builtins__
    try:
        if (harness := job["harness"]) is not None:
            module.__dict__.update(receive=receive, reply=reply)
            exec(harness, module.__dict__)  # noqa: S102  the job's program
        else:
            os.close(CHANNEL)
            module.__dict__["__file__"] = job["name"]
            exec(compile(job["source"], job["name"], "exec", dont_inherit=True), module.__dict__)  # noqa: S102  the job's program
    except MemoryError:
        os._exit(MEMORY_EXIT)


def main() -> None:
    setup = receive()
    for descriptor in setup["groups"]:
        os.write(descriptor, b"0")  # the process that writes joins the cgroup
        os.close(descriptor)
    os.chdir(setup["folder"])
    drop_privileges(setup["uid"], setup["capability"])
    sys.path[:] = [setup["folder"], *setup["path"]]
    if setup["guard"] is not None:
        die_with(setup["guard"])
    for name in setup["preload"]:
        __import__(name)
    os.write(CHANNEL, READY)
    run(receive())


if __name__ == "__main__":
    main()
