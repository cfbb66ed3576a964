"""An evaluator in this process between its neighbours: scorers and difficulty sink on the real topics and tables."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select, update

from infra.db.models import Group
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from streams.messages import PromptTicket, WeightsKind
from support.broker_run import RunOnBroker, run_settings
from support.selector_peer import Peer
from trainer.evaluation.results import PromptScores
from trainer.evaluator.evaluator import Evaluator, open_evaluator
from trainer.evaluator.plan import EvaluationPlan, make_plan, results_of
from trainer.evaluator.policy_files import PolicyFiles
from trainer.evaluator.task import RunTask

MAX_ROUNDS = 200


def policy_files(digest: str = "a" * 64, **fields: object) -> PolicyFiles:
    """A model that no engine loads: its announcement is all that these tests see of it."""
    values = {
        "name": "tiny",
        "base": Path("/models/tiny"),
        "weights": Path("/models/tiny"),
        "kind": WeightsKind.FULL,
        "files": {"model.safetensors": "b" * 64},
        "digest": digest,
    }
    return PolicyFiles(**values | fields)  # type: ignore[arg-type]  # the fields of the class, by name


class EvaluationLoop(RunOnBroker):
    """One run that evaluates. `kill` forgets the evaluator without a word, as a SIGKILL would."""

    def __init__(self, settings: Settings, bootstrap: str, folder: Path, engine: Engine) -> None:
        super().__init__(settings, bootstrap, folder)
        self.engine = engine
        self.peer = Peer(self, engine)
        self.deaf: set[int] = set()
        """Groups (by seq) whose rollouts never come."""

    def close(self) -> None:
        self.peer.reader.close()
        super().close()

    def plan(self, prompt_ids: Sequence[str], policy: PolicyFiles | None = None) -> EvaluationPlan:
        with self.engine.connect() as connection:
            return make_plan(connection, self.settings, policy or policy_files(), prompt_ids)

    def record(self, plan: RunTask) -> None:
        with self.engine.begin() as connection:
            plan.begin(connection, self.run_id)

    def results(self, plan: EvaluationPlan) -> list[PromptScores]:
        with self.engine.connect() as connection:
            return results_of(connection, plan)

    def play(self, plan: RunTask, *, restart: bool = False, rounds: int = MAX_ROUNDS) -> bool:
        """Plays the run to its end, or `rounds` rounds of it; `restart` kills the evaluator after each round. Returns
        whether it ended.
        """
        self.record(plan)
        left = rounds
        while left:
            with open_evaluator(self.settings, self.bootstrap, self.engine, plan) as evaluator:
                evaluator.start()
                while left:
                    left -= 1
                    if self.round(evaluator):
                        return True
                    if restart:
                        break
        return False

    def round(self, evaluator: Evaluator) -> bool:
        if evaluator.advance():
            return True
        self.peer.receive()
        for ticket in list(self.peer.open.values()):
            if ticket.seq not in self.deaf:
                self.peer.score(ticket)
                del self.peer.open[ticket.seq]
                self.peer.closed.add(ticket.seq)
        return False

    def tickets(self) -> list[PromptTicket]:
        """One per group, by seq."""
        return sorted({ticket.seq: ticket for ticket in self.peer.read}.values(), key=lambda ticket: ticket.seq)

    def groups(self) -> list[Group]:
        with self.engine.connect() as connection:
            query = select(Group.__table__).where(Group.run_id == self.run_id).order_by(Group.seq)
            return list(connection.execute(query).all())  # type: ignore[arg-type]  # rows with the class's columns


def evaluation_settings(bootstrap: str, engine: Engine, judge: Path, **sections: dict[str, object]) -> Settings:
    url = engine.url.render_as_string(hide_password=False)
    own = {
        "database": {"url": url},
        "evaluation": {"samples": 2, "pass_at": (1, 2)},
        "genrm": {"model": str(judge)},
    }
    settings = run_settings(bootstrap, **own)
    return with_changes(settings, **sections) if sections else settings


def deadline_passed(engine: Engine, run_id: str, seq: int) -> None:
    """Moves a group's deadline far into the past."""
    with engine.begin() as connection:
        group = update(Group).where(Group.run_id == run_id, Group.seq == seq)
        connection.execute(group.values(deadline=datetime.fromtimestamp(time.time() - 86_400, UTC)))
