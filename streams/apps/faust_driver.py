"""Faust's Kafka driver, with commits that follow our own ledger.

Faust counts a record as processed in more cases than it should: an agent's exception, a skipped event, a gap of
one at the head of the partition, the first record after a gap. `LedgerConsumer` therefore takes every committed
offset from an `OffsetLedger` that only the batch agent moves, after the broker acknowledged the outputs.
The producer is not idempotent (the embedded broker refuses aiokafka's request for a producer id): a retry can
write a record twice, and every consumer drops duplicates by id anyway.
"""

from collections.abc import Mapping
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.offsets import OffsetLedger
from streams.records import RecordPlace, TopicPartition


class LedgerConsumer(driver.Consumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledger = OffsetLedger()
        super().__init__(*args, **kwargs)

    def _to_message(self, tp: TP, record: Any) -> Any:
        """Every record passes here, in order, before anything in Faust can drop it."""
        self.ledger.deliver(RecordPlace(TopicPartition(*tp), record.offset), record.timestamp / 1000)
        return super()._to_message(tp, record)

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


class LedgerTransport(driver.Transport):
    Consumer = LedgerConsumer


class StageApp(faust.App):
    """A Faust app on this driver. It keeps no state of its own, so it creates no folder."""

    def _new_transport(self) -> LedgerTransport:
        return LedgerTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> LedgerTransport:
        return LedgerTransport(self.conf.broker_producer, self)

    def _create_directories(self) -> None:
        """Does nothing: Faust's folders hold only tables, and a stage has none."""
