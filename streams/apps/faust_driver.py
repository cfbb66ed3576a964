"""Faust's Kafka driver, by batches, with commits that follow our own ledger.

A message of Faust is here a batch of records (`RecordBatch`), and outputs are sent as whole batches: what Faust and
aiokafka do for each message is most of what a stage costs that only passes bytes on.

Faust counts a record as processed in more cases than it should: an agent's exception, a skipped event, a gap of
one at the head of the partition, the first record after a gap. `LedgerConsumer` therefore takes every committed
offset from an `OffsetLedger` that only the batch agent moves, after the broker acknowledged the outputs.
The producer is not idempotent (the embedded broker refuses aiokafka's request for a producer id): a retry can
write a record twice, and every consumer drops duplicates by id anyway.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import NotReady
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.offsets import OffsetLedger, say_lost
from streams.records import Output, Record, RecordPlace, TopicPartition

log = logging.getLogger(__name__)

_NOT_NOW = (KafkaError, NotReady, TimeoutError)
"""What a seek or a look at a position raises while partitions change hands or the broker is away. Anything else is a
defect, and ends the stage.
"""


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """A batch is handed over once it holds `records` records, or `bytes` bytes of values (its last record may exceed
    them), or has waited `seconds` for more.
    """

    records: int
    bytes: int
    seconds: float


@dataclass(slots=True)
class RecordBatch:
    """Records of one or more partitions, each partition's in order."""

    records: list[Record] = field(default_factory=list)
    bytes: int = 0

    def add(self, record: Record) -> None:
        self.records.append(record)
        self.bytes += len(record.value or b"")


class LedgerConsumer(driver.Consumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger = OffsetLedger()
        super().__init__(*args, **kwargs)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 (the interface is Faust's)
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yields whole batches, each as a message of its first record's partition.

        A fetch that a rebalance overtakes is dropped: when it ends, every partition is read from its committed offset.
        If the fetch was answered only then, the next one begins after it, and `_contiguous` finds that.
        """
        limits = cast("StageApp", self.app).batch_limits
        answered, active = await self._wait_next_records(timeout)
        if answered and not self.flow_active:
            await self._seek_back()
        fetched = await self._contiguous(answered or {})
        generation = self.app.consumer_generation_id
        batch = RecordBatch()
        lingered = False
        while fetched and self._flows(generation):
            for record in self._deliver(fetched):
                batch.add(record)
                if len(batch.records) >= limits.records or batch.bytes >= limits.bytes:
                    yield self._message_of(batch, generation)
                    batch = RecordBatch()
                    if not self._flows(generation):
                        return
            if lingered or not batch.records:
                break
            # Slept, not waited for records: each wakening would cost a fetch of the few that have come.
            await self.sleep(limits.seconds)
            lingered, fetched = True, await self._contiguous(await self._getmany(active, 0))
        if batch.records and self._flows(generation):
            yield self._message_of(batch, generation)

    async def _contiguous(self, fetched: Mapping[TP, Sequence[Any]]) -> Mapping[TP, Sequence[Any]]:
        """Returns what was fetched without the partitions in which records are missing before it: those are read again
        from the first that is due. Records that are gone from the log are said, and reading goes on after them.
        """
        gaps: dict[TP, int] = {}
        try:
            starts = {tp: found[0].offset for tp, found in fetched.items() if found} or await self._positions()
            due = {tp: self.ledger.due(TopicPartition(*tp)) for tp in starts}
            gaps = {tp: at for tp, at in due.items() if at is not None and starts[tp] > at}
            if gaps:
                await self._read_again(gaps)
        except _NOT_NOW as error:
            self._tell("the records that are due; the next fetch tries again", error)
        return {tp: found for tp, found in fetched.items() if tp not in gaps}

    async def _positions(self) -> dict[TP, int]:
        """The next offset that would be fetched, by partition: where nothing comes, a lost fetch shows only there."""
        started = [TP(*partition) for partition in self.ledger.positions()]
        found = {tp: await self.position(tp) for tp in started if self.flow_active}
        return {tp: offset for tp, offset in found.items() if offset is not None}

    async def _read_again(self, gaps: Mapping[TP, int]) -> None:
        """`gaps`: the offset that is due, by partition."""
        first = await self.earliest_offsets(*gaps)
        await self.seek_wait({tp: max(at, first[tp]) for tp, at in gaps.items()})
        for tp, at in gaps.items():
            if first[tp] > at:
                say_lost(TopicPartition(*tp), at, first[tp])
                self.ledger.start(TopicPartition(*tp), first[tp])
            else:
                log.warning("%s[%d]: records were fetched and lost, and are read again from offset %d", *tp, at)

    def _flows(self, generation: int) -> bool:
        """Whether no rebalance has begun since the group's `generation`."""
        return bool(self.flow_active and generation == self.app.consumer_generation_id and not self.should_stop)

    def _deliver(self, fetched: Mapping[TP, Sequence[Any]]) -> Iterator[Record]:
        """Every record passes here, in order, before anything in Faust can drop it."""
        for tp, found in fetched.items():
            partition = TopicPartition(*tp)
            for raw in found:
                self.ledger.deliver(RecordPlace(partition, raw.offset), raw.timestamp / 1000)
                yield Record(
                    raw.topic, raw.partition, raw.offset, raw.timestamp / 1000, raw.key, raw.value, tuple(raw.headers)
                )

    @staticmethod
    def _message_of(batch: RecordBatch, generation: int) -> tuple[TP, ConsumerMessage]:
        first = batch.records[0]
        tp = TP(*first.source)
        value: Any = batch  # Faust passes on what a topic of raw bytes holds
        message = ConsumerMessage(
            *tp, first.offset, first.timestamp, 0, None, None, value, None, tp=tp, generation_id=generation
        )
        return tp, message

    async def _seek_back(self) -> None:
        """Seeks, as Faust does where it finds its flow stopped; the end of the rebalance seeks in any case."""
        try:
            await self.perform_seek()
        except _NOT_NOW as error:
            self._tell("the committed offsets", error)

    def _tell(self, what: str, error: Exception) -> None:
        """Says that a seek failed. Nothing is to be said while a rebalance goes on, which seeks at its end anyway."""
        log.log(logging.WARNING if self.flow_active else logging.DEBUG, "no seek to %s: %r", what, error)

    def on_buffer_full(self, tp: TP) -> None:
        """Does nothing: a batch that does not fit waits, and with it the fetching of all partitions."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Does nothing, see on_buffer_full."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Does nothing: offsets between two batches' first records are no gap, and the ledger knows the gaps."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        """The started partitions of `topics` (names or partitions; None means all), whatever Faust has seen done."""
        started = (TP(*partition) for partition in self.ledger.positions())
        return (tp for tp in started if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.ledger.committable(TopicPartition(*tp))

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seeks also partitions without a commit, to their first record; Faust would leave them where they are."""
        committed = await super().seek_to_committed()
        first = await self.earliest_offsets(*committed)
        starts = {tp: max(offset or 0, first[tp]) for tp, offset in committed.items()}
        await self.seek_wait(starts)
        for tp, offset in starts.items():
            self.ledger.start(TopicPartition(*tp), offset)
        return starts

    async def ends(self) -> dict[TopicPartition, int]:
        """Returns the end offsets of the started partitions, as the broker reports them."""
        partitions = [TP(*partition) for partition in self.ledger.positions()]
        found = await self.highwaters(*partitions) if partitions else {}
        return {TopicPartition(*tp): offset for tp, offset in found.items()}

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        self.ledger.drop(TopicPartition(*tp) for tp in revoked)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Outputs that the broker did not acknowledge, and why; they may or may not be in the log."""

    error: Exception
    outputs: list[Output]


class BatchProducer(driver.Producer):
    """Sends outputs in batches of one partition each, with one future a batch instead of one an output."""

    async def send_outputs(self, outputs: Sequence[Output]) -> list[Refusal]:
        """Send all, in order within a partition; returns what the broker did not acknowledge, once nothing is open."""
        try:
            batches = await self._batches_of(outputs)
        except Exception as error:  # noqa: BLE001 (the caller sends again, or raises it)
            return [Refusal(error, list(outputs))]
        refusals = await asyncio.gather(*[self._send_in_turn(tp, parts) for tp, parts in batches.items()])
        return [refusal for refusal in refusals if refusal is not None]

    async def _batches_of(self, outputs: Sequence[Output]) -> dict[TP, list["_Batch"]]:
        producer = self._ensure_producer()
        batches: dict[TP, list[_Batch]] = {}
        found: dict[tuple[str, bytes | None], TP] = {}
        for each in outputs:
            output = each.sendable
            address = (output.topic, output.key)
            tp = found.get(address)
            if tp is None:
                await producer.partitions_for(output.topic)  # waits until they are known
                tp = found[address] = self.key_partition(output.topic, cast("bytes", output.key))
            parts = batches.setdefault(tp, [])
            if not (parts and parts[-1].append(output)):
                parts.append(_Batch(producer.create_batch()))
                parts[-1].append(output)
        return batches

    async def _send_in_turn(self, tp: TP, batches: Sequence["_Batch"]) -> Refusal | None:
        """A batch that is refused holds back those after it, so that a second attempt keeps the order."""
        producer = self._ensure_producer()
        for number, batch in enumerate(batches):
            batch.builder.close()  # an open one would linger for more
            try:
                await (await producer.send_batch(batch.builder, tp.topic, partition=tp.partition))
            except Exception as error:  # noqa: BLE001 (the caller sends again, or raises it)
                return Refusal(error, [output for held in batches[number:] for output in held.outputs])
        return None


@dataclass(slots=True)
class _Batch:
    """Outputs of one partition, and aiokafka's builder, which has them encoded."""

    builder: Any
    outputs: list[Output] = field(default_factory=list)

    def append(self, output: Output) -> bool:
        """Returns whether the output still fits; an empty batch takes one of any size."""
        headers = list(output.headers)
        if self.builder.append(timestamp=None, key=output.key, value=output.value, headers=headers) is None:
            return False
        self.outputs.append(output)
        return True


class LedgerTransport(driver.Transport):
    Consumer = LedgerConsumer
    Producer = BatchProducer


class StageApp(faust.App):
    """A Faust app on this driver. It keeps no state of its own, so it creates no folder."""

    batch_limits: BatchLimits

    def _new_transport(self) -> LedgerTransport:
        return LedgerTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> LedgerTransport:
        return LedgerTransport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Does nothing: Faust's folders hold only tables, and a stage has none."""
