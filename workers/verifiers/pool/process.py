"""One killable verifier process: reads jobs from a socket and answers each with a verdict. Only the pool starts it.

Invariant: it never outlives its parent (parent-death signal, and end of file on the socket) and never takes more
address space than its limit. It holds no credentials and needs none.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
import time

import msgspec

from infra import logs
from infra.settings.tree import RtvSettings
from streams.messages import Status
from workers.sandbox.factory import isolation_of
from workers.verifiers.base import Configured, is_sandboxed
from workers.verifiers.pool.wire import LENGTH, Job, Ready, Reply, body_length, decode_job, decode_start, frame
from workers.verifiers.registry import UnknownVerifierError, load_verifier, verifier_names

PR_SET_PDEATHSIG = 1
RECURSION_LIMIT = 3000
"""Deep enough for the grammar of mathematics at the nesting that `math` accepts; far below the C stack's end."""

GROWTH_BYTES = 64 * 2**20
"""Growth of resident memory since the start, through parsers' caches and leftovers of large verdicts, after which a new
process replaces this one. A start takes two seconds, and thousands of verdicts grow it by 10 MiB.
"""
_STATM = os.open("/proc/self/statm", os.O_RDONLY)
"""Open, because it is read after each verdict, and an open costs as much as a short verdict."""


def main(descriptor: int, memory_bytes: int, parent: int) -> None:
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, most))  # a sandbox that it starts sets a limit of its own
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(RECURSION_LIMIT)
    with socket.socket(fileno=descriptor) as connection:
        if (start := _read_frame(connection)) is None:
            return
        connection.sendall(frame(prepare(RtvSettings.model_validate_json(decode_start(start).settings))))
        most_resident = _resident_bytes() + GROWTH_BYTES
        while (body := _read_frame(connection)) is not None:
            reply = answer(decode_job(body))
            if _resident_bytes() > most_resident:
                reply = msgspec.structs.replace(reply, spent=True)
            connection.sendall(frame(reply))
            if reply.spent:
                return


def prepare(settings: RtvSettings) -> Ready:
    """Loads and configures every verifier."""
    verifiers = {name: load_verifier(name) for name in verifier_names()}
    for verifier in verifiers.values():
        if isinstance(verifier, Configured):
            verifier.configure(settings)
    sandboxed = tuple(name for name, verifier in verifiers.items() if is_sandboxed(verifier))
    return Ready(
        versions={name: verifier.version for name, verifier in verifiers.items()},
        sandboxed=sandboxed,
        isolation=isolation_of(settings.sandbox) if sandboxed else None,
    )


def answer(job: Job) -> Reply:
    """Returns the verifier's verdict; the verifier's defects and the limits of this process are statuses."""
    started = time.perf_counter()
    scorer, version = job.verifier, ""
    try:
        verifier = load_verifier(job.verifier)
        scorer, version = verifier.name, verifier.version
        verdict = verifier.verify(job.question, job.response)
        reply = Reply(
            verdict.score, verdict.status, verdict.why, scorer, version, time.perf_counter() - started, verdict.details
        )
        frame(reply)  # a verdict that cannot be sent is the verifier's defect
    except MemoryError:
        why = "the process's memory limit was reached"
        return Reply(0.0, Status.OOM, why, scorer, version, time.perf_counter() - started, spent=True)
    except UnknownVerifierError as error:
        return Reply(None, Status.INFRA_ERROR, str(error), scorer, version, time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001  whatever a verifier raises is its own defect, reported as such
        why = f"{type(error).__name__} in verifier {scorer!r}: {error}"
        return Reply(None, Status.INFRA_ERROR, why[:500], scorer, version, time.perf_counter() - started)
    return reply


def _resident_bytes() -> int:
    return int(os.pread(_STATM, 200, 0).split()[1]) * resource.getpagesize()


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the signal was set
        sys.exit(0)


def _read_frame(connection: socket.socket) -> bytes | None:
    """Returns the next frame's body; None at the end of the stream."""
    header = _read_exactly(connection, LENGTH.size)
    return None if header is None else _read_exactly(connection, body_length(header))


def _read_exactly(connection: socket.socket, size: int) -> bytes | None:
    chunks = bytearray()
    while len(chunks) < size:
        chunk = connection.recv(size - len(chunks))
        if not chunk:
            return None
        chunks += chunk
    return bytes(chunks)


if __name__ == "__main__":
    logs.inherit()
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
