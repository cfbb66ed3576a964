"""A selector in this process between its neighbours, and how far a test plays its run."""

from pathlib import Path

from sqlalchemy import Engine, select

from infra.db.models import Group
from infra.settings.tree import Settings
from support.broker_run import RunOnBroker
from support.selector_peer import Peer
from trainer.curriculum import selector
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.learner_watch import LearnerWatch
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.phases import Phases
from trainer.curriculum.runs import Phase
from trainer.curriculum.selector_lock import SelectorSession
from trainer.curriculum.watch_position import read_position

MAX_ROUNDS = 200
"""No run here needs a third of them: an endless loop ends as a failure."""


class SelectorLoop(RunOnBroker):
    """One run, its database, its peer, and a selector in this process that can be killed between rounds."""

    def __init__(self, settings: Settings, bootstrap: str, folder: Path, engine: Engine) -> None:
        super().__init__(settings, bootstrap, folder)
        self.engine = engine
        self.peer = Peer(self, engine)
        self._session: SelectorSession | None = None
        self._watch: LearnerWatch | None = None

    def close(self) -> None:
        self.kill()
        self.peer.reader.close()
        super().close()

    def resume(self, dispatcher: type[Dispatcher] = Dispatcher) -> tuple[Context, Phases]:
        """A selector process's state, as its main makes it; the one before is killed."""
        self.kill()
        self._session = SelectorSession(self.engine, self.settings.run.id)
        with self._session.transaction() as connection:
            position = read_position(connection, self.settings.run.id)
        self._watch = LearnerWatch.open(self.settings, self.bootstrap, position)
        outbox = dispatcher(self.settings, self._session, self.producer)
        context = Context(self.settings, self._session, self._watch, outbox, Lineages.of(position.claims))
        return context, selector.resume(context)

    def round(self, context: Context, phases: Phases) -> bool:
        """One turn of the selector's loop; returns whether the run is finished."""
        if phases.advance():
            return True
        selector._apply(context, context.watch.catch_up())
        return False

    def kill(self) -> None:
        if self._session is not None:
            self._session.close()
        if self._watch is not None:
            self._watch.reader.close()
        self._session = self._watch = None

    def groups(self, **equal) -> list[Group]:
        with self.engine.connect() as connection:
            query = select(Group.__table__).where(Group.run_id == self.settings.run.id).order_by(Group.seq)
            rows = connection.execute(query).all()
        return [row for row in rows if all(getattr(row, name) == value for name, value in equal.items())]


def play(loop, *, restart=False):
    """The run to its end; the selector is killed and started again after every round if `restart`."""
    context, phases = loop.resume()
    seen = [phases.phase]
    for _ in range(MAX_ROUNDS):
        finished = loop.round(context, phases)
        loop.peer.work()
        if phases.phase is Phase.DRAIN:
            loop.peer.finish_short()
        if restart:
            context, phases = loop.resume()
        if phases.phase is not seen[-1]:
            seen.append(phases.phase)
        if finished:
            return seen
    raise AssertionError(f"the run stands in {phases.phase}")


def reach(loop, phase):
    """A selector in `phase`, before its first round there."""
    context, phases = loop.resume()
    for _ in range(MAX_ROUNDS):
        if phases.phase is phase:
            return context, phases
        loop.round(context, phases)
        loop.peer.work()
    raise AssertionError(f"the run stands in {phases.phase}")


def rows(engine, query):
    with engine.connect() as connection:
        return connection.execute(query).all()
