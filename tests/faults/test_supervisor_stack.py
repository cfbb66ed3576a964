"""A stack of real parts around small services: what it prepares, keeps, refuses and tells in the background."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from support import stack_program
from support.stack_program import services, settings_in
from support.supervised import IDLE, await_end, pid_of
from support.waiting import wait_until

from infra.db.models import Run
from infra.local import detached
from infra.local.disk import DiskFullError
from infra.local.postgres import ExternalPostgres
from infra.local.processes import LocalStackError
from infra.local.stack import Stack
from infra.local.supervisor import RunOutcome
from infra.settings.database import DatabaseSettings
from infra.settings.load import load
from infra.settings.tree import Settings
from streams.admin import list_topics
from streams.topics import Topic

DAEMON = (sys.executable, stack_program.__file__, "daemon")


@pytest.fixture
def runs() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="runs-") as folder:
        yield Path(folder)


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def insert_run(stack: Stack, phase: str) -> None:
    engine = create_engine(stack.settings.database.url)
    with Session(engine) as session, session.begin():
        session.add(Run(id=stack.run_id, phase=phase, settings={}))
    engine.dispose()


def test_a_run_is_prepared_and_its_database_outlives_it(runs: Path) -> None:
    with Stack(settings_in(runs), services(IDLE)) as stack:
        settings = load(str(stack.settings_file)).settings
        assert settings == stack.settings
        assert (settings.run.id, settings.topics.prefix) == (stack.run_id, stack.run_id)
        assert (runs / "latest").resolve() == stack.folder.resolve()
        topics = list_topics(settings.broker, settings.broker.bootstrap_servers, settings.topics.prefix)
        assert topics == {f"{stack.run_id}.{topic}": 1 if topic is Topic.POLICY_VERSIONS else 4 for topic in Topic}
        insert_run(stack, "train")
        assert not stack.finished()
        execute(settings.database.url, "UPDATE runs SET phase = 'finished'")
        assert stack.finished()
        first = stack.run_id
    assert not stack.broker.alive
    assert not stack.database.alive
    with Stack(settings_in(runs), services(IDLE)) as stack:
        assert stack.run_id != first
        assert execute(stack.settings.database.url, "SELECT id FROM runs") == [(first,)]


def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_goes_on(runs: Path) -> None:
    with Stack(settings_in(runs), services(IDLE)) as stack:
        with pytest.raises(LocalStackError, match=r"the embedded Postgres in .* is used by another stack"):
            Stack(settings_in(runs), services(IDLE)).__enter__()
        assert stack.broker.alive
        assert stack.database.alive


def test_a_killed_database_comes_back_under_running_services(runs: Path) -> None:
    with Stack(settings_in(runs), services(IDLE)) as stack:
        insert_run(stack, "train")
        supervisor = stack.start_services()
        learner = pid_of(stack.folder, "learner")
        server = stack.database._child
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait(30) == -signal.SIGKILL
        external = ExternalPostgres(stack.settings.database.url, 2)
        wait_until(lambda: external.alive, "the database to come back")
        assert supervisor.wait(0) is None
        assert execute(stack.settings.database.url, "SELECT phase FROM runs") == [("train",)]
        assert psutil.pid_exists(learner)


def test_the_embedded_brokers_death_ends_the_run(runs: Path) -> None:
    with Stack(settings_in(runs), services(IDLE)) as stack:
        stack.start_services()
        pid_of(stack.folder, "learner")
        os.kill(stack.broker._child.pid, signal.SIGKILL)
        end = wait_until(lambda: stack.wait(1), "the end of the run")
    assert end.outcome is RunOutcome.FAILED
    assert end.message.startswith("broker died, and what it held is lost with it")


def test_a_full_disk_at_the_start_is_named(small_disk: Path) -> None:
    with pytest.raises(DiskFullError, match=rf"the disk under {small_disk}.* is full"):
        Stack(settings_in(small_disk), services(IDLE)).__enter__()


def test_up_status_down(runs: Path) -> None:
    assert detached.status(runs) is None
    assert detached.down(runs) is None
    state = detached.up(settings_in(runs), DAEMON)
    process = state.process
    assert process is not None
    for name in ("router", "selector", "learner"):
        pid_of(Path(state.folder), name)
    with pytest.raises(LocalStackError, match=rf"run {state.run_id} is up already \(process {state.pid}\)"):
        detached.up(settings_in(runs), DAEMON)
    status = wait_until(lambda: (now := detached.status(runs)) and now.healthy and now, "a healthy run")
    assert [line.service.name for line in status.services] == ["router", "selector", "learner"]
    assert status.state.bootstrap.startswith("127.0.0.1:")
    router = pid_of(Path(state.folder), "router")
    wait_until(
        lambda: (now := detached.status(runs)) and now.services[0].service.pid == router, "the router in the status"
    )
    assert detached.reload(runs, "router") == router
    wait_until((Path(state.folder) / "router.reloaded").exists, "the router to reload")
    with pytest.raises(LocalStackError, match="service rtv is not running"):
        detached.reload(runs, "rtv")
    processes = [process, *process.children(recursive=True)]
    ended = detached.down(runs)
    assert ended is not None
    assert ended.ended == "stopped on request"
    await_end(processes)
    after = detached.status(runs)
    assert after is not None
    assert not after.running
    assert not after.healthy
    with pytest.raises(LocalStackError, match="nothing is up"):
        detached.reload(runs, "router")


def test_up_shows_why_a_stack_did_not_start(runs: Path) -> None:
    url = "postgresql+psycopg://user:secret@127.0.0.1:9/runs"
    settings = settings_in(runs).model_copy(update={"database": DatabaseSettings(url=url, connect_timeout_seconds=2)})
    with pytest.raises(
        LocalStackError, match=r"the stack did not start(?s:.*)no database at .*user:\*\*\*@127"
    ) as caught:
        detached.up(Settings.model_validate(settings.model_dump()), DAEMON)
    assert "secret" not in str(caught.value)


def test_up_that_is_interrupted_leaves_nothing_that_starts(runs: Path) -> None:
    file = runs / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"

    def interrupt() -> None:
        wait_until(lambda: file.is_file() and file.read_text(), "the process to start")
        os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=interrupt)
    user.start()
    with pytest.raises(KeyboardInterrupt):
        detached.up(settings_in(runs), (sys.executable, "-c", code))
    user.join()
    assert not psutil.pid_exists(int(file.read_text()))
