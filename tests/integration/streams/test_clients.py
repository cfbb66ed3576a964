"""Writing to and reading from real brokers."""

import socket
import threading
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer
from kafka import TopicPartition as KafkaTopicPartition
from kafka.admin import NewPartitions
from support.examples import EXAMPLES
from support.waiting import wait_until

from infra.settings.tree import BrokerSettings, Settings
from streams.admin import TopicMismatchError, create_topics, list_topics, require_topics, topic_specs
from streams.clients import (
    BrokerUnavailableError,
    DeliveryError,
    GroupMember,
    LogReader,
    OffsetsLostError,
    confirm,
    consuming,
    make_admin,
    make_producer,
    publish,
    reading,
    record_of,
    require_broker,
    send,
)
from streams.codec import decode_by_schema, header
from streams.records import Output, Record, TopicPartition
from streams.topics import Topic, topic_name


@pytest.fixture
def producer(topic_settings: Settings, bootstrap: str) -> Iterator[KafkaProducer]:
    producer = make_producer(topic_settings.broker, bootstrap)
    yield producer
    producer.close()


@pytest.fixture
def topic(topic_settings: Settings) -> str:
    return topic_name(topic_settings.topics.prefix, Topic.SCORED)


def put(producer: KafkaProducer, topic: str, values: list[bytes]) -> None:
    """Sends the values as one batch per partition."""
    confirm(producer, [send(producer, Output(topic, value, value)) for value in values], 10)


def test_messages_come_back_as_they_were_with_schema_headers_and_key(
    producer, topic_settings, bootstrap, topic
) -> None:
    confirm(producer, [publish(producer, topic, message, "r1:4", route="rtv") for message in EXAMPLES], 10)
    with LogReader(topic_settings.broker, bootstrap, [topic]) as reader:
        records = list(reader.read_to_end())
    assert [decode_by_schema(record.value, record.headers) for record in records] == list(EXAMPLES)
    assert {record.partition for record in records} == {records[0].partition}  # one group, one partition
    assert [record.offset for record in records] == list(range(len(EXAMPLES)))
    assert {(record.key, header(record.headers, "route")) for record in records} == {(b"r1:4", "rtv")}
    assert all(abs(record.timestamp - records[0].timestamp) < 60 for record in records)


def test_a_reader_goes_on_where_another_stopped_without_loss_or_repetition(
    producer, topic_settings, bootstrap, topic
) -> None:
    values = [b"%d" % number for number in range(60)]
    put(producer, topic, values[:40])
    seen: list[bytes | None] = []
    positions: dict[TopicPartition, int] | None = None
    for size in (7, 1, 500):
        with LogReader(topic_settings.broker, bootstrap, [topic], positions) as reader:
            while not (got := reader.poll(1.0, max_records=size)):
                pass
            seen += [record.value for record in got]
            positions = reader.positions()
    with LogReader(topic_settings.broker, bootstrap, [topic], positions) as reader:
        seen += [record.value for record in reader.read_to_end()]
        assert reader.lag() == dict.fromkeys(positions, 0)
        positions = reader.positions()
    assert sorted(seen) == sorted(values[:40])

    with LogReader(topic_settings.broker, bootstrap, [topic], positions) as reader:
        assert list(reader.read_to_end()) == []
        put(producer, topic, values[40:])
        assert sorted(record.value for record in reader.read_to_end()) == sorted(values[40:])


def test_ends_are_right_once_read_also_where_batches_hold_many_records(
    producer, topic_settings, bootstrap, topic
) -> None:
    put(producer, topic, [b"%d" % number for number in range(30)])
    with LogReader(topic_settings.broker, bootstrap, [topic]) as reader:
        read = list(reader.read_to_end())
        assert sum(reader.end_offsets().values()) == len(read) == 30


def test_a_start_that_the_log_does_not_hold_is_an_error(producer, topic_settings, bootstrap, topic) -> None:
    put(producer, topic, [b"%d" % number for number in range(10)])
    for offset in (11, -1):
        with pytest.raises(OffsetsLostError, match=rf"offset {offset} is not in the log, which holds 0 to"):
            LogReader(topic_settings.broker, bootstrap, [topic], {TopicPartition(topic, 0): offset})


def test_a_topic_that_is_not_there_is_named(topic_settings, bootstrap) -> None:
    with pytest.raises(LookupError, match="topics create"):
        LogReader(topic_settings.broker, bootstrap, ["nobody-made-this"])
    require_topics(topic_settings, bootstrap)
    topics = topic_settings.topics.model_copy(update={"prefix": "nobody"})
    with pytest.raises(LookupError, match=r"no topic nobody\.prompts, .* topics\.prefix"):
        require_topics(topic_settings.model_copy(update={"topics": topics}), bootstrap)


@pytest.mark.parametrize("bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
def test_writing_to_a_topic_that_is_not_there_fails(topic_settings, bootstrap) -> None:
    """The client cannot tell it from a broker that is away, so it waits as long."""
    impatient = topic_settings.broker.model_copy(update={"request_timeout_seconds": 1.0, "outage_seconds": 1.0})
    producer = make_producer(impatient, bootstrap)
    with pytest.raises(DeliveryError, match="nobody-made-this"):
        send(producer, Output("nobody-made-this", None, b"x"))
    producer.close()


def test_a_record_that_is_too_large_is_reported_and_the_others_are_written(topic_settings, bootstrap, topic) -> None:
    small = topic_settings.broker.model_copy(update={"max_message_bytes": 2000})
    producer = make_producer(small, bootstrap)
    good = send(producer, Output(topic, b"k", bytes(1000)))
    with pytest.raises(DeliveryError, match=topic):
        send(producer, Output(topic, b"k", bytes(3000)))
    confirm(producer, [good], 10)
    producer.close()


def test_a_group_reads_on_from_its_commits_only(producer, topic_settings, bootstrap, topic) -> None:
    put(producer, topic, [b"%d" % number for number in range(20)])
    group = f"{topic_settings.topics.prefix}.test"
    first = read_group(topic_settings, bootstrap, group, topic, 20, commit=False)
    again = read_group(topic_settings, bootstrap, group, topic, 20, commit=True)
    assert sorted(first) == sorted(again)
    put(producer, topic, [b"new"])
    assert read_group(topic_settings, bootstrap, group, topic, 1, commit=True) == [b"new"]


def read_group(settings: Settings, bootstrap: str, group: str, topic: str, count: int, *, commit: bool) -> list:
    consumer = GroupMember(settings.broker, bootstrap, group, [topic]).consumer
    values: list[bytes | None] = []
    while len(values) < count:
        values += [record_of(raw).value for batch in consumer.poll(500).values() for raw in batch]
    if commit:
        consumer.commit()
    consumer.close(autocommit=False)
    return values


def test_creating_topics_twice_is_the_same_as_once_and_a_difference_is_named(topic_settings, bootstrap) -> None:
    specs = topic_specs(topic_settings)
    create_topics(topic_settings.broker, bootstrap, specs)
    prefix = topic_settings.topics.prefix
    assert list_topics(topic_settings.broker, bootstrap, prefix) == {spec.name: spec.partitions for spec in specs}
    other = topic_settings.topics.model_copy(update={"partitions": 3})
    with pytest.raises(TopicMismatchError, match=rf"{prefix}.scored has 2 partitions instead of 3"):
        create_topics(
            topic_settings.broker, bootstrap, topic_specs(topic_settings.model_copy(update={"topics": other}))
        )


def test_processes_that_create_topics_at_once_do_not_disturb_each_other(topic_settings, bootstrap) -> None:
    topics = topic_settings.topics.model_copy(update={"prefix": f"{topic_settings.topics.prefix}-at-once"})
    settings = topic_settings.model_copy(update={"topics": topics})
    failures: list[Exception] = []

    def create() -> None:
        try:
            create_topics(settings.broker, bootstrap, topic_specs(settings))
        except Exception as error:  # noqa: BLE001 (reported below)
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_broker_that_is_not_there_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing can answer here
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = BrokerSettings(connect_timeout_seconds=0.5)
        for make in (make_producer, require_broker):
            with pytest.raises(BrokerUnavailableError, match=rf"{address}.*--bootstrap-servers"):
                make(settings, address)


def test_something_that_is_no_broker_is_reported_the_same() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(BrokerUnavailableError, match=address):
            make_producer(BrokerSettings(connect_timeout_seconds=0.5), address)


@pytest.mark.parametrize("bootstrap_servers", ["", "localhost", "localhost:kafka", ","])
def test_addresses_that_are_none_are_refused(bootstrap_servers) -> None:
    with pytest.raises((ValueError, BrokerUnavailableError)):
        require_broker(BrokerSettings(connect_timeout_seconds=0.2), bootstrap_servers)


def needs_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["bootstrap"] == "embedded":
        pytest.skip("the embedded broker neither adds partitions nor deletes records")


def test_partitions_that_are_added_are_read_too(
    topic_settings: Settings, bootstrap: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group of a key may then be in another partition than before; ids tell copies apart."""
    needs_kafka(request)
    monkeypatch.setattr(reading, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(consuming, "_METADATA_MS", 500)
    name = topic_name(topic_settings.topics.prefix, Topic.SCORED)
    with LogReader(topic_settings.broker, bootstrap, [name]) as reader:
        admin = make_admin(topic_settings.broker, bootstrap)
        admin.create_partitions({name: NewPartitions(total_count=6)})
        admin.close()
        producer = make_producer(topic_settings.broker, bootstrap)
        sent = [send(producer, Output(name, f"k{number}".encode(), b"x")) for number in range(60)]
        confirm(producer, sent, 30)
        found: list[Record] = []
        wait_until(lambda: found.extend(reader.poll(0.2)) or len(found) == 60, "all records")
        assert {record.partition for record in found} == set(range(6))
        producer.close()
    create_topics(topic_settings.broker, bootstrap, topic_specs(topic_settings))  # more partitions are no mismatch


def test_a_reader_goes_on_after_records_that_retention_removed(
    topic_settings: Settings, bootstrap: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    needs_kafka(request)
    name = topic_name(topic_settings.topics.prefix, Topic.SCORED)
    producer = make_producer(topic_settings.broker, bootstrap)
    confirm(producer, [send(producer, Output(name, b"k", b"%d" % number)) for number in range(10)], 30)
    with LogReader(topic_settings.broker, bootstrap, [name]) as reader:
        [place] = {record.source for record in reader.read_to_end()}
    admin = make_admin(topic_settings.broker, bootstrap)
    admin.delete_records({KafkaTopicPartition(*place): 6})
    admin.close()
    with LogReader(topic_settings.broker, bootstrap, [name], {place: 2}) as reader:
        assert [record.offset for record in reader.read_to_end()] == [6, 7, 8, 9]
    assert "the records 2 to 5 are gone from the log" in caplog.text
    producer.close()


def test_reading_to_the_end_takes_partitions_that_are_found_on_the_way(
    producer, topic_settings, bootstrap, topic
) -> None:
    values = [b"%d" % number for number in range(40)]
    put(producer, topic, values)
    with LogReader(topic_settings.broker, bootstrap, [topic]) as reader:
        reader._partitions = reader._partitions[:1]  # as if the others were added since
        reader._consumer.assign(reader._partitions)
        reader._consumer.seek_to_beginning(*reader._partitions)
        reader._look_at = 0.0
        assert sorted(record.value for record in reader.read_to_end()) == sorted(values)
