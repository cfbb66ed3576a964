"""The local stack of one run: broker, Postgres, topics, schema, and the services under their supervisor.

Invariant: the run's settings.json names what is really running (run id, broker, database), and after stop() no process
of the stack is left. The data of Kafka and of the embedded Postgres stay for the runs that follow.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from infra.db.engine import make_engine
from infra.db.migrate import upgrade
from infra.files.folders import remove_unfinished
from infra.local import disk, run_folder
from infra.local.broker import Broker, LocalKafka, open_broker
from infra.local.interrupts import held
from infra.local.page_process import PageProcess
from infra.local.postgres import Database, EmbeddedPostgres, open_database
from infra.local.processes import LocalStackError
from infra.local.service_commands import CommandTable, service_specs
from infra.local.supervisor import Foundation, RunEnd, Supervisor
from infra.settings.load import with_changes
from infra.settings.tree import BrokerKind, Settings
from streams.admin import create_topics, list_topics, topic_specs

_FINISHED = "finished"
"""Value of runs.phase in the selector's last phase."""
_MEASURES = ("evaluate", "references")
"""Values of runs.phase in runs without a learner, which generate again what their log lacks."""


class Stack:
    """Within `with Stack(settings) as stack:` broker, database, topics and schema are up; start_services() adds the
    rest.

    `settings` is then the resolved tree of the run, with run.id, topics.prefix, broker.bootstrap_servers and
    database.url filled in.
    """

    def __init__(self, settings: Settings, commands: CommandTable = service_specs, *, latest: bool = True) -> None:
        """Makes the run's folder and starts nothing. `latest`: whether runs/latest moves to it. Raises LocalStackError,
        DatabaseUrlError.
        """
        run_id, self.folder = run_folder.make(settings, latest=latest)
        self.logs = self.folder / "logs"
        root = settings.run.folder
        self.broker = open_broker(settings.broker, root / "kafka", self.logs / "broker.log")
        self.database = open_database(settings.database, root / "postgres", self.logs / "postgres.log")
        self.settings = with_changes(
            settings, run={"id": run_id}, topics={"prefix": run_id}, broker={"kind": self.broker.kind}
        )
        self.supervisor: Supervisor | None = None
        self.page = PageProcess()
        self._commands = commands

    @property
    def run_id(self) -> str:
        return self.settings.run.id

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.json"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            self.stop()
            if isinstance(error, Exception) and disk.is_full(self.folder):
                raise disk.DiskFullError(self.folder, error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts broker and Postgres, and makes schema and topics. Raises LocalStackError, BrokerUnavailableError,
        DatabaseUnavailableError, TopicMismatchError; within `with`, DiskFullError if a full disk is the reason.
        """
        self.broker.start()
        url = self.database.start()
        self.settings = with_changes(
            self.settings,
            broker={"bootstrap_servers": self.broker.bootstrap},
            database={"url": url} if isinstance(self.database, EmbeddedPostgres) else {},
        )
        run_folder.write_settings(self.settings, self.folder)
        upgrade(url, self.settings.database.connect_timeout_seconds)
        self._require_log()
        specs = topic_specs(self.settings)
        create_topics(self.settings.broker, self.broker.bootstrap, specs, self.settings.topics.replication)

    def start_services(self) -> Supervisor:
        """Starts every service. The caller then waits on the supervisor or calls `wait`."""
        supervisor = Supervisor(
            self._commands(self.settings, self.settings_file),
            folder=self.folder,
            foundations=self._foundations(),
            finished=self.finished,
        )
        with held():
            supervisor.start()
            self.supervisor = supervisor
        return supervisor

    def serve_page(self) -> None:
        """Serves the run's page while the stack is up, if page.enabled is on: `page.url` is then its address."""
        with held():
            self.page.start(self.settings, self.settings_file, self.logs / "page.log")

    def wait(self, timeout: float | None = None) -> RunEnd | None:
        """How the run ended; None if it has not ended within `timeout` seconds."""
        assert self.supervisor is not None, "start_services() comes first"
        return self.supervisor.wait(timeout)

    def stop(self) -> None:
        """Stops the services, then broker and database. Calling it twice is the same as once; an interrupt waits for
        its end.
        """
        with held():
            try:
                self.page.stop()
                if self.supervisor is not None:
                    self.supervisor.stop()
                    for parent in (self.folder / "versions", *self.folder.glob("checkpoints/*")):
                        remove_unfinished(parent)  # a learner may have been killed while it wrote there
            finally:
                with ThreadPoolExecutor(2) as pool:
                    stops = [pool.submit(part.stop) for part in (self.broker, self.database)]
                for stopped in stops:
                    stopped.result()

    def finished(self) -> bool:
        """Whether the selector wrote the run's last phase; False if the database does not answer."""
        try:
            return self._phase() == _FINISHED
        except OperationalError:
            return False

    def _phase(self) -> str | None:
        """The run's phase; None if its selector never started. Raises OperationalError."""
        database = self.settings.database
        engine = make_engine(database.full_url(), database.connect_timeout_seconds)
        try:
            with engine.connect() as connection:
                found: str | None = connection.scalar(
                    text("SELECT phase FROM runs WHERE id = :id"), {"id": self.run_id}
                )
            return found
        finally:
            engine.dispose()

    def _require_log(self) -> None:
        """A run that has begun goes on from its log, and new topics would hide that it is gone. Raises LocalStackError
        if it is.
        """
        phase = self._phase()
        if phase is None or phase in _MEASURES:
            return
        found = list_topics(self.settings.broker, self.broker.bootstrap, self.run_id)
        if missing := [spec.name for spec in topic_specs(self.settings) if spec.name not in found]:
            raise LocalStackError(
                f"run {self.run_id} is in phase {phase}, and its log is gone: the {self.broker.kind} broker at "
                f"{self.broker.bootstrap} has no topic {', '.join(missing)}. If another broker has them, name it with "
                "--bootstrap-servers; otherwise start a new run (`--set run.id=`), with the newest of "
                f"{self.folder / 'versions'} as its --model to train on from there"
            )

    def _foundations(self) -> list[Foundation]:
        """The parts that this stack started itself. A cluster or database outside it comes back by itself."""
        parts: list[Foundation] = []
        broker, database = self.broker, self.database
        if broker.kind is not BrokerKind.CLUSTER:
            restart = broker.restart if isinstance(broker, LocalKafka) else None
            alive = partial(_is_alive, broker)
            parts.append(Foundation(name="broker", alive=alive, log=self.logs / "broker.log", restart=restart))
        if isinstance(database, EmbeddedPostgres):
            alive, log = partial(_is_alive, database), self.logs / "postgres.log"
            parts.append(Foundation(name="postgres", alive=alive, log=log, restart=database.restart))
        return parts


def _is_alive(part: Broker | Database) -> bool:
    return part.alive
