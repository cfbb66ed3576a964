"""The system calls that a program inside is refused: a filter of the kernel's (seccomp) that bubblewrap loads last.

Invariant: no program gets namespaces of its own, and so no capability in one: with a mount of its own it would have
files without a bound. What else is refused is what no honest program asks for and kernels had their holes in, and
System V shared memory, which outlives its process and counts as nobody's.

Format: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html. The numbers are the kernel's own,
from asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

import errno
import os
import platform
import struct
from dataclasses import dataclass

_NEW = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442)
"""io_uring_setup, _enter, _register, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd,
mount_setattr: the same everywhere."""
_CLONE3 = 435
_NAMESPACES = 0x7E020000
"""The flags of clone that ask for a namespace."""
_FIRST_FOREIGN = 0x40000000
"""Numbers from here on are x86_64's x32 calls: the same calls under other numbers."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data; of the argument, the lower half on a little-endian machine."""


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    """AUDIT_ARCH_* of linux/audit.h: calls by another one, 32-bit ones say, are refused altogether."""
    clone: int
    refused: tuple[int, ...]
    """shmget, ptrace, pivot_root, chroot, mount, umount2, add_key, request_key, keyctl, unshare, perf_event_open,
    name_to_handle_at, open_by_handle_at, setns, process_vm_readv, process_vm_writev, kcmp, bpf, userfaultfd."""


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        refused=(29, 101, 155, 161, 165, 166, 248, 249, 250, 272, 298, 303, 304, 308, 310, 311, 312, 321, 323),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        refused=(194, 117, 41, 51, 40, 39, 217, 218, 219, 97, 241, 264, 265, 268, 270, 271, 272, 280, 282),
    ),
}


def syscall_filter(machine: str | None = None) -> bytes | None:
    """Returns struct sock_filter[]; None for a machine whose numbers are not known here. Default: this one."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    refused = (*known.refused, *_NEW)
    end = 5 + len(refused) + 1  # where the answers begin: first those about clone
    allow, refuse, absent = end + 2, end + 3, end + 4
    lines = [
        (_LOAD, None, None, _ARCHITECTURE),
        (_EQUAL, None, refuse, known.audit),
        (_LOAD, None, None, _NUMBER),
        (_AT_LEAST, refuse, None, _FIRST_FOREIGN),
        (_EQUAL, absent, None, _CLONE3),  # its flags lie in memory, out of sight; libraries then take clone
        *((_EQUAL, refuse, None, number) for number in refused),
        (_EQUAL, None, allow, known.clone),
        (_LOAD, None, None, _FIRST_ARGUMENT),
        (_ANY_BIT, refuse, None, _NAMESPACES),
        (_RETURN, None, None, _ALLOW),
        (_RETURN, None, None, _FAIL | errno.EPERM),
        (_RETURN, None, None, _FAIL | errno.ENOSYS),
    ]
    return b"".join(_encoded(at, *line) for at, line in enumerate(lines))


def _encoded(at: int, code: int, then: int | None, otherwise: int | None, value: int) -> bytes:
    """`then` and `otherwise`: line to go to, None for the next one."""
    jumps = [0 if line is None else line - at - 1 for line in (then, otherwise)]
    return struct.pack("=HBBI", code, *jumps, value)


def readable(content: bytes) -> int:
    """A descriptor that reads as `content` once; the caller closes it. Raises OSError."""
    source, sink = os.pipe()
    os.write(sink, content)  # a few hundred bytes: a pipe takes 64 KiB
    os.close(sink)
    return source
