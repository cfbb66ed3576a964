"""Fetches become batches of a stage, outputs batches of a producer: nothing lost, in order, within the limits."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError, KafkaConnectionError
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.apps.faust_driver import BatchLimits, BatchProducer, LedgerConsumer, Refusal
from streams.offsets import OffsetLedger
from streams.records import Output, RecordPlace, TopicPartition

TOPIC = "rollouts"
Fetch = dict[TP, list[Any]]


class FakeConsumer(LedgerConsumer):
    """Brings the given fetches: the first one to `_wait_next_records`, the others without a wait."""

    should_stop = False

    def __init__(self, fetches: list[Fetch], limits: BatchLimits) -> None:
        self.ledger = OffsetLedger()
        self.app = SimpleNamespace(batch_limits=limits, consumer_generation_id=1)
        self.flow_active = True
        self._fetches = iter(fetches)
        self.sought = 0

    async def _wait_next_records(self, _):
        return next(self._fetches), None

    async def _getmany(self, *_):
        return next(self._fetches, {})

    async def sleep(self, seconds):
        pass

    async def position(self, partition):
        return self.ledger.due(TopicPartition(*partition))

    async def perform_seek(self):
        self.sought += 1


def fetches_of(sizes: list[list[tuple[int, int]]]) -> list[Fetch]:
    """Makes fetches from the partition and the bytes of the value of each record in each."""
    ends: dict[int, int] = defaultdict(int)
    fetches = []
    for fetch in sizes:
        found: Fetch = {}
        for partition, size in sorted(fetch, key=lambda record: record[0]):
            raw = SimpleNamespace(
                topic=TOPIC,
                partition=partition,
                offset=ends[partition],
                timestamp=1000,
                key=b"k",
                value=b"x" * size,
                headers=(("route", b"rtv"),),
            )
            ends[partition] += 1
            found.setdefault(TP(TOPIC, partition), []).append(raw)
        fetches.append(found)
    return fetches


async def batches_of(consumer: FakeConsumer) -> list[Any]:
    return [message.value async for _, message in consumer.getmany(1.0)]


records = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=12)


@given(records.filter(bool), records, st.integers(1, 6), st.integers(1, 100))
def test_batches_hold_every_fetched_record_once_in_order_within_the_limits(first, second, count, size):
    fetches = fetches_of([first, second])
    consumer = FakeConsumer(fetches, BatchLimits(records=count, bytes=size, seconds=0.05))
    for partition in range(3):
        consumer.ledger.start(TopicPartition(TOPIC, partition), 0)
    batches = asyncio.run(batches_of(consumer))
    places = [record.place for batch in batches for record in batch.records]
    assert all(batch.records for batch in batches)
    for partition in range(3):
        read = [place.offset for place in places if place.partition.partition == partition]
        assert read == list(range(len(read)))
        # What the ledger has open is what was handed over: nothing of it is committed before it is done.
        assert consumer.ledger.committable(TopicPartition(TOPIC, partition)) == 0
    # The second fetch is made only while a batch has room.
    assert len(places) in {len(first), len(first) + len(second)}
    for batch in batches:
        assert len(batch.records) <= count
        assert batch.bytes == sum(len(record.value) for record in batch.records)
        assert batch.bytes - len(batch.records[-1].value) < size


class LosingConsumer(FakeConsumer):
    """A fetch lacks the first four records, and the seek to them raises `error`."""

    def __init__(self, error: Exception) -> None:
        [fetch] = fetches_of([[(0, 1)] * 6])
        lost = {tp: found[4:] for tp, found in fetch.items()}
        super().__init__([lost], BatchLimits(records=9, bytes=100, seconds=0.05))
        self.ledger.start(TopicPartition(TOPIC, 0), 0)
        self._error = error

    async def earliest_offsets(self, *_):
        raise self._error


@pytest.mark.parametrize(
    "error", [IllegalStateError("not assigned"), KafkaConnectionError(), TimeoutError(), ConsumerNotStarted()]
)
@pytest.mark.parametrize("rebalancing", [False, True])
def test_a_seek_that_cannot_be_now_is_told_unless_a_rebalance_seeks_anyway_and_no_record_is_passed_over(
    error, rebalancing, caplog
):
    consumer = LosingConsumer(error)

    async def contiguous() -> Fetch:
        consumer.flow_active = not rebalancing
        return await consumer._contiguous(next(consumer._fetches))

    assert asyncio.run(contiguous()) == {}
    assert [record.levelname for record in caplog.records] == ([] if rebalancing else ["WARNING"])


def test_a_defect_in_a_seek_is_not_taken_for_a_rebalance():
    consumer = LosingConsumer(KeyError("a defect"))
    with pytest.raises(KeyError):
        asyncio.run(consumer._contiguous(next(consumer._fetches)))


def test_a_batch_is_bounded_in_bytes_whatever_the_size_of_its_records():
    consumer = FakeConsumer(fetches_of([[(0, 1000)] * 50]), BatchLimits(records=256, bytes=4000, seconds=0.05))
    batches = asyncio.run(batches_of(consumer))
    assert [len(batch.records) for batch in batches] == [4] * 12 + [2]


@pytest.mark.parametrize("change", ["flow", "generation", "stop"])
def test_a_fetch_that_a_rebalance_overtakes_is_dropped_and_stays_uncommitted(change: str):
    consumer = FakeConsumer(fetches_of([[(0, 1)] * 4]), BatchLimits(records=2, bytes=100, seconds=0.05))
    consumer.ledger.start(TopicPartition(TOPIC, 0), 0)

    async def first_only() -> list[Any]:
        found = []
        async for _, message in consumer.getmany(1.0):
            found.append(message.value)
            if change == "flow":
                consumer.flow_active = False
            elif change == "generation":
                consumer.app.consumer_generation_id = 2
            else:
                consumer.should_stop = True
        return found

    [batch] = asyncio.run(first_only())
    assert [record.offset for record in batch.records] == [0, 1]
    for record in batch.records:
        consumer.ledger.done(record.place)
    assert consumer.ledger.committable(TopicPartition(TOPIC, 0)) == 2


def test_a_fetch_that_comes_while_the_flow_is_stopped_seeks_back():
    consumer = FakeConsumer(fetches_of([[(0, 1)]]), BatchLimits(records=2, bytes=100, seconds=0.05))
    consumer.flow_active = False
    assert asyncio.run(batches_of(consumer)) == []
    assert consumer.sought == 1


def test_commits_follow_the_ledger_alone():
    consumer = FakeConsumer([], BatchLimits(records=2, bytes=100, seconds=0.05))
    for partition in range(2):
        consumer.ledger.start(TopicPartition(TOPIC, partition), 5)
    consumer.ledger.deliver(RecordPlace(TopicPartition(TOPIC, 0), 5), 0.0)
    assert set(consumer._filter_tps_with_pending_acks()) == {TP(TOPIC, 0), TP(TOPIC, 1)}
    assert list(consumer._filter_tps_with_pending_acks({TP(TOPIC, 1)})) == [TP(TOPIC, 1)]
    assert list(consumer._filter_tps_with_pending_acks({"other"})) == []


class FakeBroker(BatchProducer):
    """Takes batches of at most `batch_bytes`, and refuses the sends whose numbers are in `refused`."""

    def __init__(self, batch_bytes: int, refused: set[int]) -> None:
        self.log: dict[TP, list[Output]] = defaultdict(list)
        self._bytes = batch_bytes
        self._refused = refused
        self._sends = 0
        self._builders: dict[int, list[Output]] = {}

    def _ensure_producer(self):
        return self

    async def partitions_for(self, topic):
        return {0, 1, 2}

    def key_partition(self, topic, key):
        return TP(topic, sum(key or b"") % 3)

    def create_batch(self):
        builder = BatchBuilder(self._bytes, 0)
        held = self._builders[id(builder)] = []
        append = builder.append

        def keep(**fields):
            metadata = append(**fields)
            if metadata is not None:
                held.append((fields["key"], fields["value"]))
            return metadata

        builder.append = keep
        self._kept = [*getattr(self, "_kept", []), builder]  # ids stay unique while they live
        return builder

    async def send_batch(self, builder, topic, *, partition):
        assert builder.closed()
        number, self._sends = self._sends, self._sends + 1

        async def acknowledged() -> None:
            await asyncio.sleep(0)
            if number in self._refused:
                raise KafkaConnectionError("away")
            self.log[TP(topic, partition)] += self._builders[id(builder)]

        return acknowledged()


outputs_lists = st.lists(
    st.builds(
        Output,
        st.sampled_from(["a", "b"]),
        st.one_of(st.none(), st.binary(max_size=4)),
        st.binary(max_size=300),
        st.just((("route", b"rtv"),)),
    ),
    max_size=30,
)


@given(outputs_lists, st.sets(st.integers(0, 8)))
def test_every_output_is_acknowledged_or_handed_back_and_a_second_attempt_keeps_the_order(outputs, refused):
    broker = FakeBroker(600, refused)
    left, attempts = outputs, 0
    while left:
        refusals = asyncio.run(broker.send_outputs(left))
        assert all(isinstance(refusal, Refusal) and refusal.outputs for refusal in refusals)
        left = [output for refusal in refusals for output in refusal.outputs]
        attempts += 1
        assert attempts <= 10
    expected = defaultdict(list)
    for output in outputs:
        expected[broker.key_partition(output.topic, output.key)].append((output.key, output.value))
    assert broker.log == expected
