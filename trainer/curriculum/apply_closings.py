"""Writes the learner's closings into the table `groups`.

Invariant: a group's row has the outcome of the surviving history, in whatever order and however often the partitions
deliver: a later lineage's closing replaces an earlier one's, and a lineage that starts reopens the groups whose
closings it abandons. A closing that is not plausible changes nothing, and one that comes before the claim of its
lineage waits for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, or_, update

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
    closed = sum(_close(connection, closing) for closing in lineages.admit(closings))
    return Applied(closed, reopened)


def _reopen(connection: Connection, run_id: str, start: LineageStarted) -> int:
    abandoned = (Group.closed_lineage < start.lineage, Group.closed_ordinal >= start.ordinal)
    return connection.execute(update(Group).where(Group.run_id == run_id, *abandoned).values(_OPEN)).rowcount


def _close(connection: Connection, closing: GroupClosed) -> int:
    news = or_(Group.closed_lineage.is_(None), Group.closed_lineage < closing.lineage)
    return connection.execute(
        update(Group)
        .where(Group.run_id == closing.run_id, Group.seq == closing.seq, news)
        .values(
            outcome=closing.outcome,
            reason=closing.reason.replace("\x00", "\N{REPLACEMENT CHARACTER}"),  # it may quote a response
            closed_lineage=closing.lineage,
            closed_ordinal=closing.ordinal,
            closed_version=closing.version,
            staleness=closing.staleness,
            mean_score=closing.mean_score,
            closed_at=datetime.fromtimestamp(closing.closed_at, UTC),
        )
    ).rowcount
