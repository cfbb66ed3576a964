"""Writes the learner's closings into the table `groups`.

Invariant: a group's row has the outcome of the surviving history, in whatever order and however often the partitions
deliver: a later lineage's closing replaces an earlier one's, and a lineage that starts reopens the groups whose
closings it abandons. A closing that is not plausible changes nothing, and one that comes before the claim of its
lineage waits for it. The ticket of a closed group is in the log alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, String, Update, bindparam, or_, update

from infra.db.json_rows import encode_rows, rows_of_parameter, without_nul
from infra.db.models import Group
from streams.messages import GroupClosed, LineageStarted
from trainer.curriculum.lineages import Lineages

_OPEN = dict.fromkeys(
    (
        "outcome",
        "reason",
        "closed_lineage",
        "closed_ordinal",
        "closed_version",
        "staleness",
        "mean_score",
        "closed_at",
    )
)
_BATCH = 5000
"""Closings per statement: some megabytes."""


@dataclass(frozen=True, slots=True)
class Applied:
    closed: int = 0
    reopened: int = 0


def apply(
    connection: Connection, run_id: str, lineages: Lineages, messages: Sequence[GroupClosed | LineageStarted]
) -> Applied:
    """Writes a batch of one run's messages, and adds the starts in it to `lineages`."""
    before = set(lineages.starts.values())
    for message in messages:
        if isinstance(message, LineageStarted):
            lineages.add(message)
    reopened = sum(_reopen(connection, run_id, start) for start in lineages.starts.values() if start not in before)
    closings = [message for message in messages if isinstance(message, GroupClosed)]
    return Applied(_close(connection, run_id, lineages.admit(closings)), reopened)


def _reopen(connection: Connection, run_id: str, start: LineageStarted) -> int:
    abandoned = (Group.closed_lineage < start.lineage, Group.closed_ordinal >= start.ordinal)
    return connection.execute(update(Group).where(Group.run_id == run_id, *abandoned).values(_OPEN)).rowcount


def _close(connection: Connection, run_id: str, closings: Sequence[GroupClosed]) -> int:
    """Writes the closings by a statement per `_BATCH`; of two for one group, the later lineage's counts."""
    newest: dict[int, GroupClosed] = {}
    for closing in closings:
        if closing.seq not in newest or newest[closing.seq].lineage < closing.lineage:
            newest[closing.seq] = closing
    rows = [_row(newest[seq]) for seq in sorted(newest)]
    batches = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
    return sum(
        connection.execute(_CLOSE, {"closings": encode_rows(batch), "closed_run": run_id}).rowcount for batch in batches
    )


def _row(closing: GroupClosed) -> dict[str, object]:
    return {
        "seq": closing.seq,
        "outcome": closing.outcome,
        "reason": without_nul(closing.reason),  # it may quote a response
        "closed_lineage": closing.lineage,
        "closed_ordinal": closing.ordinal,
        "closed_version": closing.version,
        "staleness": closing.staleness,
        "mean_score": closing.mean_score,
        "closed_at": datetime.fromtimestamp(closing.closed_at, UTC),
    }


def _close_groups() -> Update:
    closed = rows_of_parameter(Group, ("seq", *_OPEN), "closings").subquery("closed")
    news = or_(Group.closed_lineage.is_(None), Group.closed_lineage < closed.c.closed_lineage)
    return (
        update(Group)
        .where(Group.run_id == bindparam("closed_run", type_=String), Group.seq == closed.c.seq, news)
        .values({name: closed.c[name] for name in _OPEN} | {"ticket": None})
    )


_CLOSE = _close_groups()
