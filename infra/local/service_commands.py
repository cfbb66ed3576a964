"""The services of a run: what is started for each, and with which environment.

Invariant: a service's threads are bounded by its own setting before it imports anything.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.settings.tree import Settings

SELECTOR = "selector"
"""Drives the run: its exit code 0 means that the run is finished."""
SERVICES = ("router", "rtv", "genrm", "difficulty", SELECTOR, "rollout", "learner")


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    name: str
    argv: Callable[[int], list[str]]
    """The command line, from the port of its metrics."""
    env: Mapping[str, str] = field(default_factory=dict)


CommandTable = Callable[[Settings, Path], list[ServiceSpec]]
"""From the resolved settings and their file to what is started."""


def service_specs(settings: Settings, settings_file: Path) -> list[ServiceSpec]:
    """`rewardstream serve NAME` for every service."""
    return [
        ServiceSpec(name=name, argv=_serve(name, settings_file), env=_environment(threads_of(settings, name)))
        for name in SERVICES
    ]


def threads_of(settings: Settings, name: str) -> int:
    """Threads of the service's matrix products; 0 leaves torch's default."""
    by_service = {
        "rollout": settings.rollout.engine.threads,
        "genrm": settings.genrm.threads,
        "learner": settings.learner.threads,
    }
    return by_service.get(name, 1)


def _serve(name: str, settings_file: Path) -> Callable[[int], list[str]]:
    base = [sys.executable, "-m", "infra.cli.main", "serve", name, "--settings-file", str(settings_file.absolute())]
    return lambda port: [*base, "--metrics-port", str(port)]


def _environment(threads: int) -> dict[str, str]:
    env = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    return env | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
