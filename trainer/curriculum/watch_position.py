"""How far the selector has applied the learner's closings: offsets and claims, in the transaction of what they applied.

Invariant: what stands in the log before the offsets is in `groups` or among the claims, except for closings that wait
for their claim: while there is one, the caller keeps the position. A selector that restarts therefore reads what came
while it was away, and not the run's history. What it reads twice changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Group, SelectorPosition
from streams.messages import LineageStarted
from streams.records import TopicPartition


@dataclass(frozen=True, slots=True)
class WatchPosition:
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    """The next offset by partition; empty if nothing was applied."""
    claims: tuple[LineageStarted, ...] = ()
    """Claims that count, in rising order."""
    version: int = 0
    """The highest version of a closing under the newest claim."""


def read_position(connection: Connection, run_id: str) -> WatchPosition:
    columns = (SelectorPosition.topic, SelectorPosition.offsets, SelectorPosition.claims)
    row = connection.execute(select(*columns).where(SelectorPosition.run_id == run_id)).one_or_none()
    if row is None:
        return WatchPosition()
    offsets = {TopicPartition(row.topic, number): at for number, at in enumerate(row.offsets) if at is not None}
    claims = tuple(msgspec.convert(claim, LineageStarted) for claim in row.claims)
    newest = claims[-1].lineage if claims else 0
    of_newest = (Group.run_id == run_id, Group.closed_lineage == newest)
    version = connection.scalar(select(func.max(Group.closed_version)).where(*of_newest)) or 0
    return WatchPosition(offsets, claims, version)


def write_position(
    connection: Connection, run_id: str, offsets: Mapping[TopicPartition, int], claims: Iterable[LineageStarted]
) -> None:
    """`offsets`: those of every partition of one topic of which something was read."""
    if not offsets:
        return
    numbers = {partition.partition: offset for partition, offset in offsets.items()}
    row = {
        "topic": next(iter(offsets)).topic,
        "offsets": [numbers.get(number) for number in range(max(numbers) + 1)],
        "claims": msgspec.to_builtins(list(claims)),
        "updated_at": func.now(),
    }
    statement = insert(SelectorPosition).values(run_id=run_id, **row)
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=row))
