"""Keeps the services of a run alive until the run ends.

Invariant: a service that dies is started again with growing waits, or the whole run ends with the reason. Once the run
has ended, no service and nothing that a service started is left. Its own metrics (the restarts) have an endpoint, too.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from infra import endpoint, outages
from infra.local import disk
from infra.local.ports import LOOPBACK, free_port, port_is_free
from infra.local.processes import ChildProcess, LocalStackError, log_tail, spawn, terminate
from infra.local.restarts import RestartPolicy, Restarts
from infra.local.scrape_targets import SUPERVISOR, remove_targets, write_targets
from infra.local.service_commands import ServiceSpec
from infra.local.usage import Meter, Usage
from infra.metrics import metrics
from infra.readiness import READY_FILE, ready_since
from infra.services import Service

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_WAIT_SECONDS = 0.05
"""Longest delay until a run's end is noticed."""
_SELECTOR_GRACE_SECONDS = 1.0
"""The selector commits one row at a time; a dispatch that it had not confirmed is repeated at its next start."""
_GRACE_SECONDS = 5.0
"""Longest time that the other services have to drain. With the selector's and the broker's it stays below ten
seconds."""
_FINISHED_GRACE_SECONDS = 60.0
"""Grace period if the run ended by itself. Nobody waits at a prompt then, so the learner's last checkpoint may take
long."""
_MISCONFIGURED = 2
"""Exit code of a service that refuses its settings; a restart does not mend them."""
_DIVERGED = 65
"""Exit code of a learner whose gradients stay non-finite; from its checkpoint it would come to the same point."""


class ServiceStatus(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    """It died and is started again after its wait."""
    STOPPED = "stopped"


class RunOutcome(StrEnum):
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DISK_FULL = "disk_full"


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    outcome: RunOutcome
    message: str

    @property
    def exit_code(self) -> int:
        return {
            RunOutcome.FINISHED: 0,
            RunOutcome.STOPPED: 130,
            RunOutcome.FAILED: 1,
            RunOutcome.DISK_FULL: disk.EXIT_CODE,
        }[self.outcome]


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """State of one service, as the live screen shows it."""

    name: str
    status: ServiceStatus
    pid: int | None
    restarts: int
    metrics_port: int
    usage: Usage
    last_exit: int | None
    """Exit code of its last death; negative for a signal."""


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """A part that all services need: the broker or the database."""

    name: str
    alive: Callable[[], bool]
    log: Path
    restart: Callable[[], None] | None = None
    """Starts it again; None if its state is lost when it dies, so that the run cannot continue."""


@dataclass
class _Service:
    spec: ServiceSpec
    restarts: Restarts
    port: int
    child: ChildProcess | None = None
    count: int = 0
    start_at: float = 0.0
    last_exit: int | None = None


@dataclass
class _Part:
    foundation: Foundation
    restarts: Restarts
    started: float = field(default_factory=time.monotonic)
    start_at: float | None = None
    """Time of its next start on the clock of time.monotonic(); None while it is alive."""


class Supervisor:
    """Watches the services in a thread of its own, from start() until the run ends."""

    def __init__(
        self,
        specs: Sequence[ServiceSpec],
        *,
        folder: Path,
        foundations: Sequence[Foundation] = (),
        policy: RestartPolicy | None = None,
        finished: Callable[[], bool] = lambda: True,
    ) -> None:
        """`folder` is the run's; logs go to its logs/. `finished` tells whether a selector that exited with 0 was done
        or only asked to stop.
        """
        policy = policy or RestartPolicy()
        self._folder = folder
        self._services = [_Service(spec, Restarts(policy), free_port()) for spec in specs]
        self._parts = [_Part(part, Restarts(policy)) for part in foundations]
        self._finished = finished
        self._own_port = free_port()
        self._meter = Meter()
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._end: RunEnd | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, timeout: float | None = None) -> RunEnd | None:
        """How the run ended; None if it has not ended within `timeout` seconds."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self._ended.is_set() and time.monotonic() < deadline:
            time.sleep(_WAIT_SECONDS)  # not Event.wait: an interrupt within it could leave the event's lock taken
        return self._end

    def stop(self) -> RunEnd:
        """Ends the run if it has not ended; returns when no service is left."""
        self._asked.set()
        self._ended.wait()
        assert self._end is not None
        return self._end

    def snapshot(self) -> tuple[ServiceState, ...]:
        """State of every service. Usage is measured from the previous call to this one."""
        children = {service.spec.name: service.child for service in self._services}
        pids = {name: child.pid for name, child in children.items() if child is not None and child.alive}
        usage = self._meter.sample(set(pids.values()))
        return tuple(self._service_state(service, pids.get(service.spec.name), usage) for service in self._services)

    def _service_state(self, service: _Service, pid: int | None, usage: dict[int, Usage]) -> ServiceState:
        dead = ServiceStatus.STOPPED if self._ended.is_set() or self._asked.is_set() else ServiceStatus.WAITING
        return ServiceState(
            name=service.spec.name,
            status=dead if pid is None else ServiceStatus.RUNNING,
            pid=pid,
            restarts=service.count,
            metrics_port=service.port,
            usage=Usage() if pid is None else usage[pid],
            last_exit=service.last_exit,
        )

    def _supervise(self) -> None:
        end: RunEnd | None = None
        stop_serving = self._serve_metrics()
        try:
            self._write_targets()
            while end is None and not self._asked.is_set():
                end = self._check_once()
                self._asked.wait(0 if end else _POLL_SECONDS)
        except Exception as error:
            log.exception("supervisor")
            full = disk.is_full(self._folder) or (isinstance(error, OSError) and disk.is_disk_full(error))
            end = self._disk_full_end() if full else _failed_end(f"the supervisor failed: {error}")
        finally:
            finished = end is not None and end.outcome is RunOutcome.FINISHED
            self._stop_services(_FINISHED_GRACE_SECONDS if finished else _GRACE_SECONDS)
            remove_targets(self._folder)
            stop_serving()
            self._end = end or RunEnd(outcome=RunOutcome.STOPPED, message="stopped on request")
            self._ended.set()

    def _check_once(self) -> RunEnd | None:
        """Checks every part and service once; returns the run's end, if this is it."""
        for part in self._parts:
            if not part.foundation.alive() and (end := self._mend_part(part)):
                return end
        if any(part.start_at is not None for part in self._parts):
            return None  # a service that starts now would only die because the part is missing
        for service in self._services:
            if service.child is None:
                if time.monotonic() >= service.start_at:
                    self._launch(service)
            elif (code := service.child.poll()) is not None and (
                end := self._handle_death(service, service.child, code)
            ):
                return end
        return None

    def _launch(self, service: _Service) -> None:
        if not port_is_free(service.port):
            service.port = free_port()
            self._write_targets()
        argv = service.spec.argv(service.port)
        ready = self._ready_file(service)
        ready.unlink(missing_ok=True)
        env = {**service.spec.env, READY_FILE: str(ready)} if service.spec.marks_ready else service.spec.env
        service.child = spawn(service.spec.name, argv, log=self._log_of(service), env=env)

    def _write_targets(self) -> None:
        ports = {service.spec.name: service.port for service in self._services}
        write_targets(self._folder, ports | ({SUPERVISOR: self._own_port} if self._own_port else {}))

    def _serve_metrics(self) -> Callable[[], None]:
        """Returns what stops the endpoint. A run goes on without it if another program takes the port first."""
        try:
            return endpoint.serve(LOOPBACK, self._own_port)
        except OSError as error:
            log.warning("the restarts of services are not served on port %d: %s", self._own_port, error)
            self._own_port = 0
            return lambda: None

    def _life_seconds(self, service: _Service, child: ChildProcess, now: float) -> float:
        """How long the service worked: loading is not life, or one that always dies of its first work after a long load
        would be started for ever.
        """
        since = ready_since(self._ready_file(service)) if service.spec.marks_ready else child.started
        return 0.0 if since is None else now - since

    def _ready_file(self, service: _Service) -> Path:
        return self._folder / "logs" / f"{service.spec.name}.ready"

    def _log_of(self, service: _Service) -> Path:
        return self._folder / "logs" / f"{service.spec.name}.log"

    def _handle_death(self, service: _Service, child: ChildProcess, code: int) -> RunEnd | None:
        name, service.child, service.last_exit = service.spec.name, None, code
        if name == Service.SELECTOR and code == 0 and self._finished():
            return RunEnd(outcome=RunOutcome.FINISHED, message="the run is finished")
        if code == disk.EXIT_CODE:
            return self._disk_full_end() if disk.is_full(self._folder) else _room_again_end(name, child)
        if code == _MISCONFIGURED:
            return _failed_end(f"{name} refuses its settings; the end of {child.log}:\n{child.log_tail()}")
        if code == _DIVERGED:
            return _failed_end(f"{name}: training diverged; the end of {child.log}:\n{child.log_tail()}")
        now = time.monotonic()
        life = self._life_seconds(service, child, now)
        if code == outages.EXIT_CODE:
            wait, why = (
                service.restarts.after_outage(life, now),
                "finds a part away that does not come back",
            )
        else:
            wait, why = service.restarts.after_death(life), f"keeps dying ({describe_exit(code)})"
        if wait is None:
            return self._give_up(name, why, child.log)
        log.warning("%s died (%s); it starts again in %.1f s", name, describe_exit(code), wait)
        service.start_at = time.monotonic() + wait
        service.count += 1
        metrics.restarts_total.labels(service=name).inc()
        return None

    def _mend_part(self, part: _Part) -> RunEnd | None:
        """Starts the broker or the database again if its state survived its death."""
        name, restart, now = part.foundation.name, part.foundation.restart, time.monotonic()
        if restart is None:
            return self._give_up(name, "died, and what it held is lost with it", part.foundation.log)
        if part.start_at is None:
            wait = part.restarts.after_death(now - part.started)
            if wait is None:
                return self._give_up(name, "keeps dying", part.foundation.log)
            log.warning("%s died; it starts again in %.1f s", name, wait)
            part.start_at = now + wait
        elif now >= part.start_at:
            self._restart(part, restart)
        return None

    @staticmethod
    def _restart(part: _Part, restart: Callable[[], None]) -> None:
        metrics.restarts_total.labels(service=part.foundation.name).inc()
        part.start_at = None
        try:
            restart()
        except LocalStackError as error:
            log.warning("%s", error)
        part.started = time.monotonic()

    def _give_up(self, name: str, why: str, path: Path) -> RunEnd:
        if disk.is_full(self._folder):
            return self._disk_full_end()
        return _failed_end(f"{name} {why}: the run ends; the end of {path}:\n{log_tail(path)}")

    def _disk_full_end(self) -> RunEnd:
        return RunEnd(outcome=RunOutcome.DISK_FULL, message=disk.explain(self._folder))

    def _stop_services(self, grace: float) -> None:
        """Stops the selector first, so that nothing new is dispatched; then all others together."""
        children = [service.child for service in self._services if service.child is not None]
        terminate([child for child in children if child.name == Service.SELECTOR], _SELECTOR_GRACE_SECONDS)
        terminate([child for child in children if child.name != Service.SELECTOR], grace)


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _room_again_end(name: str, child: ChildProcess) -> RunEnd:
    """The end for a disk that has room by the time somebody looks, or that is not the run's own."""
    message = (
        f"{name} found a disk full: free space there, and start again; the end of {child.log}:\n{child.log_tail()}"
    )
    return RunEnd(outcome=RunOutcome.DISK_FULL, message=message)


def _failed_end(message: str) -> RunEnd:
    return RunEnd(outcome=RunOutcome.FAILED, message=message)
