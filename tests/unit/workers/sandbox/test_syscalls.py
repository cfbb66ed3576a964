"""The filter, run as the kernel runs it, on what a program may call."""

import errno
import struct

import pytest

from workers.sandbox.syscalls import syscall_filter

ALLOWED = 0x7FFF0000
REFUSED = 0x00050000 | errno.EPERM
ABSENT = 0x00050000 | errno.ENOSYS
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
NEW_USER, THREAD, FORK = 0x10000000, 0x003D0F00, 17


def answer(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """What the classic BPF program returns for a call: loads, three jumps and a return are all that it may hold."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    lines = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, then, otherwise, value = lines[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x06:
                return int(value)
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value != 0}
                at += then if holds[code] else otherwise
            case _:
                raise AssertionError(f"an instruction that nothing here needs: {code:#x}")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def program(machine: str) -> bytes:
    found = syscall_filter(machine)
    assert found is not None
    return found


CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "openat": (257, 56),
    "mmap": (9, 222),
    "execve": (59, 221),
    "futex": (202, 98),
    "memfd_create": (319, 279),
    "setresuid": (117, 147),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "shmget": (29, 194),
    "ptrace": (101, 117),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
}
"""Numbers on x86_64 and on aarch64."""
HONEST = {"read", "write", "openat", "mmap", "execve", "futex", "memfd_create", "setresuid"}


@pytest.mark.parametrize("name", CALLS)
def test_what_an_honest_program_calls_is_allowed_and_the_rest_refused(program: bytes, machine: str, name: str) -> None:
    number = CALLS[name][list(MACHINES).index(machine)]
    assert answer(program, MACHINES[machine], number) == (ALLOWED if name in HONEST else REFUSED)


@pytest.mark.parametrize(("flags", "expected"), [(FORK, ALLOWED), (THREAD, ALLOWED), (NEW_USER | FORK, REFUSED)])
def test_processes_and_threads_but_no_namespaces(program: bytes, machine: str, flags: int, expected: int) -> None:
    clone = {"x86_64": 56, "aarch64": 220}[machine]
    assert answer(program, MACHINES[machine], clone, flags) == expected


def test_clone3_is_absent_so_that_libraries_take_clone(program: bytes, machine: str) -> None:
    assert answer(program, MACHINES[machine], 435) == ABSENT


def test_the_same_calls_by_another_architecture_are_refused(program: bytes, machine: str) -> None:
    read = CALLS["read"][list(MACHINES).index(machine)]
    assert answer(program, I386, read) == REFUSED
    assert answer(program, MACHINES[machine], 0x40000000 + read) == REFUSED


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    assert syscall_filter("riscv64") is None
