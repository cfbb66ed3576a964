"""Every way to a broker keeps one contract: start() means it answers, stop() means it is gone."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from infra.local.broker import Broker, BrokerError, ClusterBroker, EmbeddedBroker, LocalKafka, open_broker, probe
from infra.local.ports import PortTakenError, free_port
from infra.local.processes import LocalStackError
from infra.settings.tree import BrokerKind, BrokerSettings
from streams.clients.connect import BrokerUnavailableError

KAFKA_HOME = os.environ.get("KAFKA_HOME", "")


def produce(bootstrap: str, values: list[bytes]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    if "numbers" not in admin.list_topics():
        admin.create_topics({"numbers": {"num_partitions": 1, "replication_factor": 1}})
        admin.wait_for_topics(["numbers"])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for sent in [producer.send("numbers", value) for value in values]:
        sent.get(timeout=60)
    producer.close()


def consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition("numbers", 0)])
    values: list[bytes] = []
    while len(values) < count:
        for records in consumer.poll(timeout_ms=1000).values():
            values += [record.value for record in records]
    consumer.close()
    return values


class BrokerContract:
    def make(self, folder: Path, port: int = 0) -> Broker:
        raise NotImplementedError

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="broker-") as folder:
            yield Path(folder)

    @pytest.fixture
    def broker(self, folder: Path) -> Iterator[Broker]:
        broker = self.make(folder)
        broker.start()
        yield broker
        broker.stop()

    def test_records_come_back_and_a_stopped_broker_is_gone(self, broker: Broker) -> None:
        assert broker.alive
        cluster = ClusterBroker(BrokerSettings(bootstrap_servers=broker.bootstrap))
        cluster.start()
        assert cluster.alive
        cluster.stop()
        assert broker.alive
        produce(broker.bootstrap, [b"one", b"two"])
        assert consume(broker.bootstrap, 2) == [b"one", b"two"]
        before = {process.pid for process in psutil.Process().children(recursive=True)}
        broker.stop()
        assert not broker.alive
        assert probe(broker.bootstrap) is not None
        left = {process.pid for process in psutil.Process().children(recursive=True)}
        assert len(before - left) >= 1
        assert not any(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in left)
        broker.stop()

    def test_a_taken_port_is_named(self, folder: Path) -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            with pytest.raises(PortTakenError, match=rf"port {port} on 127\.0\.0\.1.*choose another port"):
                self.make(folder, port).start()


class TestEmbedded(BrokerContract):
    def make(self, folder: Path, port: int = 0) -> Broker:
        return EmbeddedBroker(folder / "broker.log", port)

    def test_the_death_of_an_embedded_broker_shows(self, broker: EmbeddedBroker) -> None:
        assert broker._child is not None
        os.kill(broker._child.pid, 9)
        assert broker._child.wait(60) == -9
        assert not broker.alive

    def test_a_binary_that_does_not_start_shows_its_log(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = folder / "tansu"
        program.write_text("#!/bin/sh\necho no such option\nexit 7\n")
        program.chmod(0o755)
        monkeypatch.setenv("CALF_TANSU_BIN", str(program))
        with pytest.raises(BrokerError, match=r"ended with exit code 7(?s:.*)no such option"):
            self.make(folder).start()

    def test_a_missing_binary_is_named(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CALF_TANSU_BIN", str(folder / "absent"))
        with pytest.raises(BrokerError, match="absent"):
            self.make(folder).start()


@pytest.mark.kafka
@pytest.mark.skipif(not KAFKA_HOME, reason="KAFKA_HOME is not set")
class TestLocalKafka(BrokerContract):
    def make(self, folder: Path, port: int = 0) -> Broker:
        return LocalKafka(Path(KAFKA_HOME), folder / "kafka", folder / "broker.log", port)

    def test_records_outlive_a_kill_and_nobody_else_gets_the_data(self, broker: LocalKafka, folder: Path) -> None:
        with pytest.raises(LocalStackError, match="is used by another stack"):
            self.make(folder).start()
        produce(broker.bootstrap, [b"kept"])
        assert broker._child is not None
        os.kill(broker._child.pid, 9)
        assert broker._child.wait(60) == -9
        bootstrap = broker.bootstrap
        broker.restart()
        assert broker.bootstrap == bootstrap
        assert consume(broker.bootstrap, 1) == [b"kept"]


def test_a_cluster_that_is_not_there_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = BrokerSettings(bootstrap_servers=address, connect_timeout_seconds=0.5)
    broker = open_broker(settings, Path("unused"))
    assert broker.kind is BrokerKind.CLUSTER
    with pytest.raises(BrokerUnavailableError, match=address):
        broker.start()
    assert not broker.alive
