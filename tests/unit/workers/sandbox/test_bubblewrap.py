"""bubblewrap keeps the contract, and every bound but the cgroup's where the host has none to write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.sandbox.contract import SandboxContract
from support.sandbox.probes import LIMITS, python

from workers.sandbox.base import Sandbox

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


NAMESPACES = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
user, mount = 0x10000000, 0x00020000
stack = ctypes.create_string_buffer(65536)
start = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
def say(returned):
    print(errno.errorcode[ctypes.get_errno()] if returned == -1 else returned)
say(libc.unshare(user | mount))
say(libc.clone(start, ctypes.byref(stack, 65536 - 64), user | 17, None))
say(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
"""


class TestBubblewrap(SandboxContract):
    kind = "bubblewrap"

    def test_it_bounds_everything(self, sandbox: Sandbox) -> None:
        assert set(sandbox.isolation.missing) <= {"cgroup"}

    def test_no_namespace_and_no_mount_of_its_own(self, sandbox: Sandbox) -> None:
        ran = sandbox.run(python(NAMESPACES), LIMITS)
        assert ran.stdout.decode().split() == ["EPERM"] * 3, ran.stderr


AS_USER = """
kept=$(mktemp -d)
mount --bind "$1" "$kept" && mount -t tmpfs -o mode=755 tmpfs "$2" && mkdir -p "$1" && mount --bind "$kept" "$1" \
  && umount "$kept"
rmdir "$kept"
shift 2
exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
"""
"""In a mount namespace of its own, where the interpreter is readable: under root's folder it is not."""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests above run as a user already")
def test_it_keeps_the_contract_for_a_user_without_privileges(tmp_path: Path) -> None:
    """In user namespaces, without cgroups or uids of its own; and so does the fallback."""
    tests = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    hidden = sys.base_prefix.startswith("/root/")
    folder = "/root" if hidden else str(tmp_path / "unused")
    prefix = sys.base_prefix if hidden else f"{folder}/prefix"
    Path(prefix).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", AS_USER, "sh", prefix, folder, *tests],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
    assert "passed" in done.stdout
