"""The first stage inside a sandbox: gives up what it has, waits for its one job, becomes the program.

Invariant: every privilege is gone before anything of a job is read, and every limit is in force before anything of a
program runs. It is the host's own code: compiled there, sent over the channel, and executed with `take` (from the
boot line) in its globals. It imports what the interpreter holds anyway, since each import delays every sandbox.

Host to stage: frames of eight bytes of length (little-endian) and marshal, which only the side that is less trusted
reads. Stage to host: READY, then nothing; the channel is closed to a program and open to a session's harness.
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
"""Exit status of a program that ran out of address space. One that forges it calls itself out of memory."""
CHANNEL = int(sys.argv[1]) if __name__ == "__main__" else -1


def take(size: int) -> bytes:
    """Exactly so many bytes from the channel; the end of the process where the host is gone."""
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


def become(uid: int | None) -> None:
    """The unprivileged user; all capabilities go with the last id."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)


def die_with(parent: int) -> None:
    """After the change of user, which takes the kernel's promise back."""
    import ctypes

    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:
        os._exit(0)


def limit(limits: dict[str, int]) -> None:
    """By the names of `resource`."""
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
    become(setup["uid"])
    sys.path[:] = [setup["folder"], *setup["path"]]
    if setup["guard"] is not None:
        die_with(setup["guard"])
    for name in setup["preload"]:
        __import__(name)
    os.write(CHANNEL, READY)
    run(receive())


if __name__ == "__main__":
    main()
