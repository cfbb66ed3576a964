"""Selection rounds in the database: quarantine what is suspect, then decide on every prompt by one statement.

Invariant: a round reads the running statistics (`prompt_stats`) and no scores, so its cost depends on the number of
prompts alone; round 0 is a round like any other. No row of a prompt comes into this process.
"""

import logging
import time
from typing import Any

from sqlalchemy import Connection, Integer, String, insert, literal, select, text

from infra.db.models import Prompt, PromptStats, Selection, SelectionCut, SelectionRound
from infra.settings.tree import Settings
from trainer.curriculum.prompt_ids import PromptIds, read_ids_by_domain
from trainer.curriculum.prompt_pool import train_pool
from trainer.curriculum.quarantine import quarantine_suspicious
from trainer.curriculum.selection_plan import SelectionPlan
from trainer.curriculum.selection_query import RoundQuery, off_query, round_query

log = logging.getLogger(__name__)

LABEL = "preppo"
_PLANNING = {
    "work_mem": "128MB",  # a million prompts are hashed, kept and sorted without files; a round takes 420 MB then
    "enable_mergejoin": "off",  # it would sort the prompts by the few cuts; hashing keeps them in their order
    "enable_nestloop": "off",  # a table that was just filled has no statistics: a nested loop over it takes minutes
    "jit": "off",  # compiling takes longer than it saves
}
"""Settings of Postgres for a round's transaction."""
_DECISION = ("selected", "reason", "rule", "value", "a", "b", "scores", "age", "last", "repeats")
_CUT = ("rule", "domain", "candidates", "kept", "cut")


def latest_round(connection: Connection, run_id: str) -> tuple[int, int] | None:
    """(round, version) of the run's last selection."""
    row = connection.execute(
        select(SelectionRound.round, SelectionRound.version)
        .where(SelectionRound.run_id == run_id)
        .order_by(SelectionRound.round.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.round, row.version)


def selected(connection: Connection, run_id: str, round_: int) -> dict[str, PromptIds]:
    """Ids of the prompts in training, by domain."""
    query = (
        select(Prompt.domain, Prompt.id)
        .join(Selection, Selection.prompt_number == Prompt.number)
        .where(Selection.run_id == run_id, Selection.round == round_, Selection.selected)
    )
    return read_ids_by_domain(connection, query)


def select_round(connection: Connection, settings: Settings, round_: int, version: int) -> None:
    """Decides on every prompt of split `train` and writes the round; newly suspicious prompts are quarantined.

    Raises SelectionRuleError if the settings name a rule, or an option, that does not exist.
    """
    run_id, began = settings.run.id, time.monotonic()
    plan = SelectionPlan.of(settings, round_, version)
    suspicious = quarantine_suspicious(connection, run_id) if plan.preppo.enabled else 0
    pool = train_pool(connection, run_id).subquery("pool")
    query = (
        round_query(pool, run_statistics(run_id).subquery("statistics"), plan)
        if plan.preppo.enabled
        else off_query(pool)
    )
    set_planning(connection)
    connection.execute(
        insert(SelectionRound).values(run_id=run_id, round=round_, version=version, settings=plan.as_json())
    )
    decided = _write(connection, query, run_id, round_)
    seconds = time.monotonic() - began
    log.info(
        "selection round=%d version=%d prompts=%d quarantined=%d seconds=%.1f",
        round_,
        version,
        decided,
        suspicious,
        seconds,
    )


def set_planning(connection: Connection) -> None:
    """Settings of Postgres for the rest of the transaction, with which a round takes seconds."""
    for name, value in _PLANNING.items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})


def run_statistics(run_id: str) -> Any:
    """The run's `prompt_stats`, as `round_query` takes them."""
    columns = [column for column in PromptStats.__table__.c if column.name not in ("run_id", "updated_at")]
    return select(*columns).where(PromptStats.run_id == run_id)


def _write(connection: Connection, query: RoundQuery, run_id: str, round_: int) -> int:
    """Writes the decisions and the cuts by one statement, so that both are of one snapshot; returns the number of
    decisions.
    """
    keys = (literal(run_id, String).label("run_id"), literal(round_, Integer).label("round"))
    decisions = query.decisions.add_columns(*keys)
    columns = ["prompt_number", *_DECISION, "run_id", "round"]
    cuts = insert(SelectionCut).from_select([*_CUT, "run_id", "round"], query.cuts.add_columns(*keys))
    statement = insert(Selection).from_select(columns, decisions)
    both = statement.add_cte(cuts.returning(SelectionCut.rule).cte("written_cuts"))
    return connection.execute(both, execution_options={"preserve_rowcount": True}).rowcount
