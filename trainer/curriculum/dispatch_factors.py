"""The factors that the guard's alarms put on the domains' shares, and the dispatch history under them.

Invariant: a change of the factors is stored with the first group that it applies to, before that group is dispatched. A
selector that restarts therefore counts every group under the factors of its time, and owes each domain what it owed.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import DispatchFactors, Group
from trainer.curriculum.group_counts import train_history
from trainer.curriculum.schedule import Schedule


def replay(connection: Connection, run_id: str, schedule: Schedule) -> None:
    """Counts the run's groups in the schedule, which then has the factors that were stored last."""
    query = select(DispatchFactors.from_seq, DispatchFactors.factors).where(DispatchFactors.run_id == run_id)
    changes = connection.execute(query.order_by(DispatchFactors.from_seq)).tuples().all()
    applied = 0
    for seq, domain, version in train_history(connection, run_id):
        while applied < len(changes) and changes[applied][0] <= seq:
            schedule.factors = changes[applied][1]
            applied += 1
        schedule.replay([(domain, version)])
    if changes:
        schedule.factors = changes[-1][1]


def store(connection: Connection, run_id: str, factors: Mapping[str, float]) -> None:
    """Stores that the factors apply to the groups that are dispatched from here on."""
    next_seq = select(func.coalesce(func.max(Group.seq) + 1, 0)).where(Group.run_id == run_id).scalar_subquery()
    statement = insert(DispatchFactors).values(run_id=run_id, from_seq=next_seq, factors=dict(factors))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "from_seq"], set_={"factors": statement.excluded.factors}
        )
    )
