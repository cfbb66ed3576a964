"""The run's row in the database: its phase, and when training began.

Invariant: a phase is entered in one transaction, so a selector that restarts continues in it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Run
from infra.metrics import metrics
from infra.settings.load import without_secrets
from infra.settings.tree import Settings


class Phase(StrEnum):
    """The phases in their order. If the learner rewinds during eval_after, the run returns to drain."""

    EVAL_BEFORE = "eval_before"
    PREPPO = "preppo"
    TRAIN = "train"
    DRAIN = "drain"
    EVAL_AFTER = "eval_after"
    FINISHED = "finished"


EVALUATE = "evaluate"
"""The only phase before `finished` of a run that measures a model and trains none."""
REFERENCES = "references"
"""The only phase before `finished` of a run that generates responses from which references are picked."""


@dataclass(frozen=True, slots=True)
class RunState:
    phase: Phase
    train_started_at: datetime | None


def open_run(connection: Connection, settings: Settings) -> RunState:
    """The run's state; inserts the row if it is missing."""
    insert_run(connection, settings, Phase.EVAL_BEFORE)
    return read_run(connection, settings.run.id)


def insert_run(connection: Connection, settings: Settings, phase: str) -> None:
    """Inserts the run's row, unless it is there."""
    row = {"id": settings.run.id, "phase": phase, "settings": without_secrets(settings)}
    connection.execute(insert(Run).values(row).on_conflict_do_nothing())


def read_run(connection: Connection, run_id: str) -> RunState:
    phase, started = connection.execute(select(Run.phase, Run.train_started_at).where(Run.id == run_id)).one()
    return RunState(Phase(phase), started)


def enter(connection: Connection, run_id: str, phase: Phase) -> None:
    """Enters a phase. The start of training is stamped the first time only, the end of the run every time."""
    values: dict[str, Any] = {"phase": phase}
    if phase is Phase.TRAIN:
        values["train_started_at"] = func.coalesce(Run.train_started_at, func.now())
    if phase is Phase.FINISHED:
        values["finished_at"] = func.now()
    connection.execute(update(Run).where(Run.id == run_id).values(values))


def show_phase(phase: Phase) -> None:
    for each in Phase:
        metrics.run_phase.labels(each).set(each is phase)
