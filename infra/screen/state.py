"""What the owner of a run tells other commands: `state.json` in the run's folder, replaced as a whole each tick."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import psutil

FILE_NAME = "state.json"


class UsageLike(Protocol):
    @property
    def cpu_cores(self) -> float: ...
    @property
    def memory_bytes(self) -> int: ...


class ServiceLike(Protocol):
    """What a supervisor says of a service."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...
    @property
    def metrics_port(self) -> int: ...
    @property
    def usage(self) -> UsageLike: ...


class Usage(msgspec.Struct, frozen=True):
    cpu_cores: float = 0.0
    memory_bytes: int = 0


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A `ServiceLike`, as it was written."""

    name: str
    status: str
    pid: int | None
    restarts: int
    metrics_port: int
    usage: Usage


class StackRecord(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    """The process that owns the run."""
    created: float
    """When that process started, Unix seconds: process ids are used again."""
    broker: str
    started: float
    """Unix seconds of the run's start."""
    services: tuple[ServiceRecord, ...] = ()

    @property
    def alive(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).create_time() == self.created)
        except psutil.NoSuchProcess:
            return False


def record(broker: str, started: float, services: Sequence[ServiceLike]) -> StackRecord:
    """Of a run that this process owns."""
    own = psutil.Process()
    return StackRecord(
        pid=own.pid,
        created=own.create_time(),
        broker=broker,
        started=started,
        services=tuple(
            ServiceRecord(
                name=service.name,
                status=str(service.status),
                pid=service.pid,
                restarts=service.restarts,
                metrics_port=service.metrics_port,
                usage=Usage(round(service.usage.cpu_cores, 3), service.usage.memory_bytes),
            )
            for service in services
        ),
    )


def write(folder: Path, state: StackRecord) -> None:
    """Raises OSError."""
    new = folder / f".{FILE_NAME}.new"
    new.write_bytes(msgspec.json.encode(state))
    new.replace(folder / FILE_NAME)


def read(folder: Path) -> StackRecord | None:
    """None where the run has no owner on record."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=StackRecord)
    except FileNotFoundError:
        return None
