"""Which broker and which database the settings mean."""

from pathlib import Path

import pytest

from infra.db.engine import DatabaseUrlError
from infra.local.broker import ClusterBroker, EmbeddedBroker, LocalKafka, open_broker, resolve_kind
from infra.local.postgres import EmbeddedPostgres, ExternalPostgres, open_database
from infra.local.processes import LocalStackError
from infra.settings.database import DatabaseSettings
from infra.settings.tree import BrokerKind, BrokerSettings


@pytest.fixture(autouse=True)
def _no_kafka_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_HOME", raising=False)


def test_auto_prefers_a_cluster_then_kafka_then_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_kind(BrokerSettings()) is BrokerKind.EMBEDDED
    assert resolve_kind(BrokerSettings(kafka_home=Path("/opt/kafka"))) is BrokerKind.KAFKA
    monkeypatch.setenv("KAFKA_HOME", "/opt/kafka")
    assert resolve_kind(BrokerSettings()) is BrokerKind.KAFKA
    assert resolve_kind(BrokerSettings(bootstrap_servers="host:9092")) is BrokerKind.CLUSTER
    assert resolve_kind(BrokerSettings(kind=BrokerKind.EMBEDDED, bootstrap_servers="h:1")) is BrokerKind.EMBEDDED


def test_each_kind_opens_its_broker_and_says_whether_it_keeps_records(tmp_path: Path) -> None:
    embedded = open_broker(BrokerSettings(), tmp_path)
    kafka = open_broker(BrokerSettings(kafka_home=tmp_path), tmp_path)
    cluster = open_broker(BrokerSettings(bootstrap_servers="host:9092"), tmp_path)
    assert isinstance(embedded, EmbeddedBroker)
    assert not embedded.durable
    assert isinstance(kafka, LocalKafka)
    assert kafka.durable
    assert isinstance(cluster, ClusterBroker)
    assert cluster.bootstrap == "host:9092"


def test_kafka_without_its_home_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=r"broker\.kafka_home or the environment's KAFKA_HOME"):
        open_broker(BrokerSettings(kind=BrokerKind.KAFKA), tmp_path)


def test_kafka_home_without_jars_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=rf"KAFKA_HOME = {tmp_path} holds no libs/kafka-server"):
        open_broker(BrokerSettings(kafka_home=tmp_path), tmp_path / "data").start()


def test_a_database_url_is_external_and_speaks_psycopg(tmp_path: Path) -> None:
    database = open_database(DatabaseSettings(url="postgres://u:p@host:5432/d"), tmp_path)
    assert isinstance(database, ExternalPostgres)
    assert database.url == "postgresql+psycopg://u:p@host:5432/d"
    assert isinstance(open_database(DatabaseSettings(), tmp_path), EmbeddedPostgres)


def test_another_database_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        open_database(DatabaseSettings(url="mysql://user:secret@host/d"), tmp_path)
    assert "secret" not in str(caught.value)
