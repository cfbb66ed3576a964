"""Command line and environment of every service of a run.

Invariant: a service's threads are bounded by its own setting before it imports anything.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.services import Service
from infra.settings.tree import Settings


@dataclass(frozen=True, kw_only=True)
class ServiceSpec:
    name: str
    argv: Callable[[int], list[str]]
    """Makes the command line from the port of its metrics."""
    env: Mapping[str, str] = field(default_factory=dict)
    marks_ready: bool = False
    """Whether it says when it has loaded; its life counts from there."""


CommandTable = Callable[[Settings, Path], list[ServiceSpec]]
"""Makes the list of what is started from the resolved settings and their file."""


def service_specs(settings: Settings, settings_file: Path) -> list[ServiceSpec]:
    """`rewardstream serve NAME` for every service."""
    return [
        ServiceSpec(
            name=service,
            argv=_serve_command(service, settings_file),
            env=_thread_environment(service.traits.threads(settings)),
            marks_ready=service.traits.marks_ready,
        )
        for service in Service
    ]


def _serve_command(service: Service, settings_file: Path) -> Callable[[int], list[str]]:
    base = [sys.executable, "-m", "infra.cli.main", "serve", service, "--settings-file", str(settings_file.absolute())]
    return lambda port: [*base, "--metrics-port", str(port)]


def _thread_environment(threads: int) -> dict[str, str]:
    env = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    return env | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
