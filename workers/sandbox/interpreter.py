"""The Python that runs inside: its paths on the host and inside, and how it is started.

Invariant: what is visible inside is the interpreter's own installation and, where the settings say so, the packages
installed with the service; never the service's code.
"""

import __future__

import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType

FLAGS = ("-s", "-P", "-S")
"""No user's packages, no current folder on the path, no site: its files would cost 50 ms and name the host's paths."""
BOOT = """\
import os, sys, marshal
def take(size):
    found = b""
    while len(found) < size:
        chunk = os.read(int(sys.argv[1]), size - len(found))
        if not chunk:
            os._exit(0)
        found += chunk
    return found
exec(marshal.loads(take(int.from_bytes(take(8), "little"))))
"""
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108  inside
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0",  # a set's order, and so a verdict, is the same every time
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
OWN_PACKAGES = ("infra", "streams", "trainer", "workers")
"""The service's own packages: they are hidden if they are installed with the others."""
_INSIDE = "/python"
_SITE = "/site-packages"


@dataclass(frozen=True, slots=True)
class Interpreter:
    executable: Path
    """Path on the host with links resolved: a virtual environment's interpreter is a link out of it."""
    prefix: Path
    """The installation's folder."""
    site: Path | None
    """The packages' folder."""

    @classmethod
    def own(cls, *, packages: bool) -> "Interpreter":
        site = Path(sysconfig.get_path("purelib")) if packages else None
        return cls(Path(sys.executable).resolve(), Path(sys.base_prefix).resolve(), site)

    @property
    def in_usr(self) -> bool:
        """/usr is inside anyway."""
        return self.prefix.is_relative_to("/usr")

    @property
    def inside(self) -> Path:
        return self.executable if self.in_usr else Path(_INSIDE) / self.executable.relative_to(self.prefix)

    def path(self, *, inside: bool) -> list[str]:
        """sys.path, without the program's folder."""
        stdlib = [sysconfig.get_path("stdlib"), str(Path(sysconfig.get_path("stdlib")) / "lib-dynload")]
        if inside and not self.in_usr:
            stdlib = [str(Path(_INSIDE) / Path(entry).resolve().relative_to(self.prefix)) for entry in stdlib]
        packages = [] if self.site is None else [_SITE if inside else str(self.site)]
        return [*stdlib, *packages]

    def binds(self) -> list[str]:
        """Arguments of bwrap."""
        found = [] if self.in_usr else ["--ro-bind", str(self.prefix), _INSIDE]
        if self.site is not None:
            found += ["--ro-bind", str(self.site), _SITE]
            for name in OWN_PACKAGES:
                if (self.site / name).is_dir():
                    found += ["--size", "4096", "--tmpfs", f"{_SITE}/{name}"]
        return found

    def environment(self, *, inside: bool) -> dict[str, str]:
        """Returns the environment of a program, with the folder of the interpreter's shared library."""
        prefix = Path(_INSIDE) if inside and not self.in_usr else self.prefix
        return ENVIRONMENT | {"LD_LIBRARY_PATH": str(prefix / "lib")}


@cache
def init_code() -> CodeType:
    """The code of inside_init, compiled once: compiling it inside would cost each sandbox 3 ms."""
    file = Path(__file__).with_name("inside_init.py")
    return _compiled(file.read_text(encoding="utf-8"), "stage")


@cache
def harness_code(source: str) -> CodeType:
    """Compiles trusted source only: a model's source never reaches the host's compiler."""
    return _compiled(source, "harness")


def _compiled(source: str, name: str) -> CodeType:
    """Annotations stay text: what they name would have to be imported inside."""
    flags = __future__.annotations.compiler_flag
    code: CodeType = compile(source, name, "exec", flags, dont_inherit=True, optimize=2)
    return code


def launch(
    argv: list[str], environment: dict[str, str], groups: Sequence[int], **options: object
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start `argv` with the channel's number appended, and `groups`, descriptors that it inherits. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                [*argv, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno(), *groups],
                env=environment,
                **options,  # type: ignore[call-overload]  # of Popen's overloads none takes a mapping
            )
        except BaseException:
            ours.close()
            raise
    return process, ours
