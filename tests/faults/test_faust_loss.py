"""Twenty records in one partition, the process killed while the sixth is un-acked: every one comes out.

Faust itself commits past the sixth, as the last test shows on the same app without our driver, so these tests can fail.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import wait_until

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.apps.base import group_of
from streams.clients import LogReader, confirm, make_admin, make_producer, send
from streams.records import Output
from streams.topics import Topic, topic_name

pytestmark = pytest.mark.slow

APP = Path(__file__).parents[1] / "support" / "loss_app.py"
COUNT = 20
HELD = 5
VALUES = [b"%d" % number for number in range(COUNT)]


class Case:
    def __init__(self, settings: Settings, folder: Path, mode: str) -> None:
        # One partition, so that everything behind the held record is at stake.
        topics = settings.topics.model_copy(update={"prefix": f"{settings.topics.prefix}-{mode}", "partitions": 1})
        self.settings = settings.model_copy(update={"topics": topics})
        self.mode = mode
        self.log = folder / f"{mode}.log"
        self.bootstrap = settings.broker.bootstrap_servers
        create_topics(self.settings.broker, self.bootstrap, topic_specs(self.settings))
        self.source = topic_name(topics.prefix, Topic.ROLLOUTS)
        target = topic_name(topics.prefix, Topic.SCORED)
        self.reader = LogReader(self.settings.broker, self.bootstrap, [target])
        self.admin = make_admin(self.settings.broker, self.bootstrap)
        self.out: list[bytes | None] = []

    def close(self) -> None:
        self.reader.close()
        self.admin.close()

    def produce(self, values: list[bytes]) -> None:
        producer = make_producer(self.settings.broker, self.bootstrap)
        confirm(producer, [send(producer, Output(self.source, b"key", value)) for value in values], 10)
        producer.close()

    @contextmanager
    def running(self, held: str) -> Iterator[None]:
        """The app, killed at the end."""
        child = self.start(held)
        try:
            yield
            assert child.poll() is None, self.log.read_text()
        finally:
            child.kill()
            child.wait()

    def start(self, held: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, str(APP), self.mode, self.settings.model_dump_json(), held]
        with self.log.open("ab") as log:
            # Faust makes its data folder where it is started.
            return subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.log.parent)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            if condition():
                return True
            self.out += [record.value for record in self.reader.poll(0.1)]
            return False

        wait_until(reached, f"records of {self.mode}", interval=0, details=self.report)

    def report(self) -> str:
        return f"out {self.out}, committed {self.committed()}\n{self.log.read_text()}"

    def committed(self) -> int | None:
        offsets = self.admin.list_group_offsets(group_of(self.settings, self.mode))
        found = [offset.offset for offset in offsets.get(group_of(self.settings, self.mode), {}).values()]
        return found[0] if found else None


@pytest.fixture
def open_case(topic_settings: Settings, tmp_path: Path) -> Iterator[Callable[[str], Case]]:
    cases: list[Case] = []

    def make(mode: str) -> Case:
        cases.append(Case(topic_settings, tmp_path, mode))
        return cases[-1]

    yield make
    for case in cases:
        case.close()


def test_a_stage_that_fails_and_is_killed_loses_nothing(open_case: Callable[[str], Case]) -> None:
    case = open_case("stage")
    case.produce(VALUES)
    # Faust acknowledges what an agent's exception leaves behind; a stage ends, and its batch is not done.
    assert case.start(held=f"fail:{HELD}").wait(60) == 1
    assert "ZeroDivisionError" in case.log.read_text()
    with case.running(held=str(HELD)):
        # Batches hold at most four records, so one at least is done before that of the held record.
        case.wait_for(lambda: b"holding" in case.log.read_bytes() and case.committed() == len(set(case.out)) > 0)
        assert set(case.out) == set(VALUES[: len(set(case.out))])
        assert VALUES[HELD] not in case.out
    with case.running(held=""):
        case.wait_for(lambda: set(case.out) == set(VALUES) and case.committed() == COUNT)


@pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
def test_a_batch_that_hangs_does_not_hold_up_a_stop_and_is_not_committed(open_case: Callable[[str], Case]) -> None:
    case = open_case("stage")
    case.produce(VALUES)
    child = case.start(held=str(HELD))
    case.wait_for(lambda: b"holding" in case.log.read_bytes())
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0, case.report()
    done = case.committed()
    assert done is not None
    assert 0 < done <= HELD


def test_records_done_out_of_order_are_kept_by_our_driver_and_lost_by_fausts(open_case: Callable[[str], Case]) -> None:
    guarded, unguarded = open_case("guarded"), open_case("unguarded")
    cases = {guarded: HELD, unguarded: COUNT}
    for case in cases:
        case.produce(VALUES)
    with guarded.running(held=str(HELD)), unguarded.running(held=str(HELD)):
        for case, expected in cases.items():
            case.wait_for(lambda case=case: set(case.out) == set(VALUES) - {VALUES[HELD]})
            case.wait_for(lambda case=case, expected=expected: case.committed() == expected)
    for case in cases:
        case.produce([b"last"])
    with guarded.running(held=""), unguarded.running(held=""):
        for case in cases:
            case.wait_for(lambda case=case: b"last" in case.out)
    assert set(guarded.out) == {*VALUES, b"last"}
    assert VALUES[HELD] not in unguarded.out
