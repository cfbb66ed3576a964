"""A stack of its own for a run without a learner: broker, database, and the services that its task needs.

Invariant: when the task's run has ended, or was interrupted, nothing that was started for it is left, and runs/latest
is where it was.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from infra.db.engine import connect
from infra.db.migrate import upgrade_engine
from infra.local import disk
from infra.local.open_engine import is_embedded, open_engine, running_url
from infra.local.service_commands import ServiceSpec, service_specs
from infra.local.stack import Stack
from infra.local.supervisor import RunEnd, RunOutcome, Supervisor
from infra.services import Service
from infra.settings.load import with_changes
from infra.settings.tree import BrokerKind, Settings
from trainer.audit.audit import audit_run, save
from trainer.evaluator.evaluator import Progress, measure
from trainer.evaluator.policy_files import PolicyFiles
from trainer.evaluator.task import RunTask

_POLL_SECONDS = 0.2
_SHOW_SECONDS = 10.0

Show = Callable[[str], None]


class ServicesEndedError(RuntimeError):
    """The services of the stack gave up before the task was done; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What became of a task's run."""

    progress: Progress
    seconds: float
    violations: int
    """Violations that the audit of the run found."""


def show_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def migrated_engine(settings: Settings) -> Iterator[Engine]:
    with open_engine(settings.database, settings.run.folder) as engine:
        upgrade_engine(engine)
        yield engine


def with_own_stack(settings: Settings) -> Settings:
    """The settings of a new stack, also if they are the settings.json of a run whose stack has ended. An embedded
    Postgres that another stack of this folder of runs has started is used, since a folder has one server.
    """
    of_a_stack = settings.broker.kind in (BrokerKind.EMBEDDED, BrokerKind.KAFKA)
    embedded = not settings.database.url or is_embedded(settings.database.url)
    return with_changes(
        settings,
        run={"id": ""},
        data={"prompts": None, "heldout": None},
        broker={"bootstrap_servers": ""} if of_a_stack else {},
        database={"url": running_url(settings.database, settings.run.folder)} if embedded else {},
        router={"shadow_share": 0.0},
    )


def settings_of_run(settings: Settings, policy: PolicyFiles, run_id: str) -> Settings:
    """The settings of a run that generates with `policy` and has no learner."""
    selector = settings.selector
    admission = selector.admission.model_copy(update={"deadline_seconds": settings.evaluation.deadline_seconds})
    lora = settings.learner.lora.model_copy(update={"rank": policy.lora_rank})
    return with_changes(
        settings,
        run={"id": run_id},
        model={"path": str(policy.base)},
        selector={"admission": admission.model_dump()},
        difficulty={"later_texts_one_in": 1},  # references are picked from what all responses say
        learner={"lora": lora.model_dump(), "replay": type(settings.learner.replay)().model_dump()},
        weights={"places": (str(policy.weights.resolve()),)},
    )


def run_task(settings: Settings, task: RunTask, scorers: Collection[Service], show: Show) -> TaskRun:
    """Runs the task to its end on a stack of its own, audits it, and stops the stack.

    `settings` are those of `settings_of_run`. `scorers` are the services that score the task's responses. Raises
    ServicesEndedError if the services cannot run, DiskFullError, and what starting a stack raises.
    """
    started = time.monotonic()
    with Stack(settings, _only(scorers), latest=False) as stack:
        database, bootstrap = stack.settings.database, stack.broker.bootstrap
        supervisor = stack.start_services()
        engine = connect(database.full_url(), database.connect_timeout_seconds)
        try:
            pause = _Pause(supervisor, stack.folder, show)
            progress = measure(stack.settings, bootstrap, engine, task, pause=pause)
            report = audit_run(stack.settings, bootstrap, engine)
        finally:
            engine.dispose()
        save(report, stack.folder)
    return TaskRun(progress, round(time.monotonic() - started, 1), len(report.violations))


def _only(scorers: Collection[Service]) -> Callable[[Settings, Path], list[ServiceSpec]]:
    """The services that generate, and those that score. The task itself is in the place of selector and learner."""
    names = {Service.ROUTER, Service.DIFFICULTY, Service.ROLLOUT, *scorers}
    return lambda settings, file: [spec for spec in service_specs(settings, file) if spec.name in names]


@dataclass(slots=True)
class _Pause:
    """Waits between two rounds, and shows a line every ten seconds. Raises ServicesEndedError or DiskFullError if the
    services gave up.
    """

    supervisor: Supervisor
    folder: Path
    show: Show
    started: float = 0.0
    shown_at: float = 0.0

    def __call__(self, progress: Progress) -> None:
        end = self.supervisor.wait(_POLL_SECONDS)
        if end is not None:
            raise self._why(end)
        now = time.monotonic()
        self.started = self.started or now
        if now - max(self.started, self.shown_at) >= _SHOW_SECONDS:
            self.shown_at = now
            failed = f", {progress.failed} failed" if progress.failed else ""
            self.show(f"  {progress.measured} of {progress.groups} measured{failed}, {now - self.started:.0f} s")

    def _why(self, end: RunEnd) -> Exception:
        if end.outcome is RunOutcome.DISK_FULL:
            return disk.DiskFullError(self.folder, end.message)
        return ServicesEndedError(end.message)
