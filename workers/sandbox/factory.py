"""The sandbox that the settings ask for, or the best that this host can have.

Invariant: one sandbox a process for the same settings; what it holds is freed at the process's end, and what a
process left that was killed is removed by the next one's first.
"""

import atexit
from functools import cache

from infra.settings.tree import SandboxSettings
from workers.sandbox.base import Isolation, Program, ProgramLimits, Sandbox, SandboxError
from workers.sandbox.bubblewrap import BubblewrapLauncher
from workers.sandbox.cgroups import CgroupRoot
from workers.sandbox.reaping import adopt_orphans
from workers.sandbox.subprocess_backend import SubprocessLauncher
from workers.sandbox.subprocess_backend import sweep as sweep_folders
from workers.sandbox.warm_pool import Launcher, WarmSandbox

_PROBE = "import os; os.write(1, b'up')"


def build_sandbox(settings: SandboxSettings, preload: tuple[str, ...] = ()) -> Sandbox:
    """`preload`: modules that each Python has imported before it is given its program. Interpreters start with the
    first program. Raises SandboxError if the kind that is asked for does not work here.
    """
    return _build(settings.model_dump_json(), preload)


def default_limits(settings: SandboxSettings, wall_seconds: float) -> ProgramLimits:
    return ProgramLimits(
        wall_seconds=wall_seconds,
        memory_bytes=settings.memory_mib * 2**20,
        processes=settings.processes,
        output_bytes=settings.output_kib * 2**10,
        file_bytes=settings.file_mib * 2**20,
    )


def isolation_of(settings: SandboxSettings) -> Isolation:
    """The isolation in force with these settings, found out by running a program; `none` if no program can run."""
    try:
        return build_sandbox(settings).isolation
    except SandboxError as error:
        return Isolation("none", (), (), str(error))


def sweep() -> None:
    """Remove what processes that are gone have left."""
    sweep_folders()
    if (root := _cgroups()) is not None:
        root.sweep()


@cache
def _build(settings_json: str, preload: tuple[str, ...]) -> Sandbox:
    settings = SandboxSettings.model_validate_json(settings_json)
    adopt_orphans()
    sweep()
    cgroups = _cgroups()
    sandbox = WarmSandbox(_launcher(settings, preload, cgroups), settings)
    atexit.register(sandbox.close)
    return sandbox


@cache
def _cgroups() -> CgroupRoot | None:
    return CgroupRoot.find()


def _launcher(settings: SandboxSettings, preload: tuple[str, ...], cgroups: CgroupRoot | None) -> Launcher:
    if settings.kind == "subprocess":
        return SubprocessLauncher(settings, preload, cgroups)
    why = []
    for proc in (True, False):
        launcher = BubblewrapLauncher(settings, preload, cgroups, proc=proc)
        try:
            _probe(launcher, settings)
        except SandboxError as error:
            launcher.close()
            why.append(str(error))
        else:
            return launcher
    if settings.kind == "bubblewrap":
        raise SandboxError(f"rtv.sandbox.kind is bubblewrap, which does not work here: {why[0]}")
    return SubprocessLauncher(settings, preload, cgroups, why=why[0])


def _probe(launcher: Launcher, settings: SandboxSettings) -> None:
    """Raises SandboxError."""
    sandbox = WarmSandbox(launcher, settings.model_copy(update={"warm": 0}))
    ran = sandbox.run(Program("python", _PROBE), default_limits(settings, settings.case_seconds))
    if ran.stdout != b"up":
        raise SandboxError(f"a sandbox ran nothing ({ran.ending}, code {ran.code}): {ran.stderr[-300:]!r}")
