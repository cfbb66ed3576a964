"""Postgres: embedded and external answer the same; what is wrong is said with the URL, never with its password."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from infra.db.engine import DatabaseUnavailableError
from infra.local.ports import free_port
from infra.local.postgres import EmbeddedPostgres, ExternalPostgres, PostgresError
from infra.local.processes import LocalStackError


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        yield Path(folder)


@pytest.fixture
def database(folder: Path) -> Iterator[EmbeddedPostgres]:
    database = EmbeddedPostgres(folder / "postgres")
    database.start()
    yield database
    database.stop()


def scalar(url: str, query: str) -> object:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(query))
        value = result.scalar() if result.returns_rows else None
    engine.dispose()
    return value


def postgres_processes(folder: Path) -> list[int]:
    """The server's own process and what it started."""
    found = []
    for process in psutil.process_iter(["cmdline", "name"]):
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or []):
            found += [process.pid, *(child.pid for child in process.children(recursive=True))]
    return found


def test_data_outlives_a_stop_and_nothing_else_does(database: EmbeddedPostgres) -> None:
    scalar(database.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert str(scalar(database.url, "SHOW server_version")).startswith("18.")
    running = postgres_processes(database.folder)
    assert len(running) > 3
    database.stop()
    assert not database.alive
    assert not [pid for pid in running if psutil.pid_exists(pid)]
    assert scalar(database.start(), "SELECT answer FROM kept") == 42


def test_a_killed_server_is_started_again_at_the_same_url(database: EmbeddedPostgres) -> None:
    scalar(database.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    url, child = database.url, database._child
    assert child is not None
    os.kill(child.pid, 9)
    assert child.wait(60) == -9
    assert not database.alive
    while postgres_processes(database.folder):  # its backends notice by themselves; the test's timeout bounds this
        pass
    database.restart()
    assert database.url == url
    assert scalar(url, "SELECT answer FROM kept") == 42


def test_a_second_stack_on_the_same_data_is_refused(database: EmbeddedPostgres) -> None:
    with pytest.raises(LocalStackError, match=rf"{database.folder} is used by another stack \(process {os.getpid()}\)"):
        EmbeddedPostgres(database.folder).start()
    assert scalar(database.url, "SELECT 1") == 1


def test_a_path_too_long_for_a_socket_works_and_leaves_no_socket_folder(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60) / "postgres"
    deep.parent.mkdir(parents=True)
    database = EmbeddedPostgres(deep)
    assert scalar(database.start(), "SELECT 1") == 1
    sockets = database._sockets
    assert sockets != deep
    database.stop()
    assert not sockets.exists()


def test_data_of_another_version_is_refused(folder: Path) -> None:
    data = folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("14\n")
    with pytest.raises(PostgresError, match=r"holds the data of PostgreSQL 14, the embedded server is 18: move"):
        EmbeddedPostgres(data).start()


def test_an_interrupted_initialisation_is_done_again(folder: Path) -> None:
    half = folder / ".unfinished-postgres-abc"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    database = EmbeddedPostgres(folder / "postgres")
    assert scalar(database.start(), "SELECT 1") == 1
    database.stop()
    assert not half.exists()


def test_a_stale_pid_file_of_a_living_stranger_does_not_stop_the_start(database: EmbeddedPostgres) -> None:
    database.stop()
    pid_file = database.folder / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{database.folder}\n0\n5432\n\n\n\nready\n")
    assert scalar(database.start(), "SELECT 1") == 1


def test_an_external_server_answers(database: EmbeddedPostgres) -> None:
    external = ExternalPostgres(database.url)
    assert scalar(external.start(), "SELECT 1") == 1
    assert external.alive
    external.stop()
    assert database.alive


def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    external = ExternalPostgres(f"postgresql://user:secret@127.0.0.1:{free_port()}/runs", 2)
    with pytest.raises(DatabaseUnavailableError, match=r"user:\*\*\*@127\.0\.0\.1:\d+/runs") as caught:
        external.start()
    assert "secret" not in str(caught.value)
    assert not external.alive
