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
import support
from support.broker_run import RunOnBroker, killed_at_the_end, run_settings
from support.waiting import wait_until

from streams.apps.base import group_of
from streams.clients import make_admin
from streams.topics import Topic

pytestmark = pytest.mark.slow

APP = Path(support.__file__).with_name("loss_app.py")
COUNT = 20
HELD = 5
VALUES = [b"%d" % number for number in range(COUNT)]


class Case(RunOnBroker):
    """A stage from rollouts to scores on one partition, so that all behind the held record is at stake."""

    def __init__(self, bootstrap: str, folder: Path, mode: str) -> None:
        super().__init__(run_settings(bootstrap, topics={"partitions": 1}), bootstrap, folder)
        self.mode = mode
        self.scores = self.reader(Topic.SCORED)
        self.admin = make_admin(self.settings.broker, bootstrap)
        self.out: list[bytes | None] = []

    def close(self) -> None:
        self.scores.close()
        self.admin.close()
        super().close()

    def produce(self, values: list[bytes]) -> None:
        for value in values:
            self.send_bytes(Topic.ROLLOUTS, value)

    @contextmanager
    def holding(self, held: str) -> Iterator[None]:
        """The app, killed at the end."""
        child = self.start_app(held)
        with killed_at_the_end(child):
            yield
            assert child.poll() is None, self.report()

    def start_app(self, held: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, APP, self.mode, self.settings.model_dump_json(), held]
        return self.start_command(command, self.mode)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            if condition():
                return True
            self.out += [record.value for record in self.scores.poll(0.1)]
            return False

        wait_until(reached, f"records of {self.mode}", interval=0, details=self.report)

    def report(self) -> str:
        return f"out {self.out}, committed {self.committed()}\n{self.log(self.mode)}"

    def committed(self) -> int | None:
        offsets = self.admin.list_group_offsets(group_of(self.settings, self.mode))
        found = [offset.offset for offset in offsets.get(group_of(self.settings, self.mode), {}).values()]
        return found[0] if found else None


@pytest.fixture
def open_case(bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Case]]:
    monkeypatch.chdir(tmp_path)  # Faust makes its data folder where it is started
    cases: list[Case] = []

    def make(mode: str) -> Case:
        cases.append(Case(bootstrap, tmp_path, mode))
        return cases[-1]

    yield make
    for case in cases:
        case.close()


def test_a_stage_that_fails_and_is_killed_loses_nothing(open_case: Callable[[str], Case]) -> None:
    case = open_case("stage")
    case.produce(VALUES)
    # Faust acknowledges what an agent's exception leaves behind; a stage ends, and its batch is not done.
    assert case.start_app(held=f"fail:{HELD}").wait(60) == 1
    assert "ZeroDivisionError" in case.log(case.mode)
    with case.holding(held=str(HELD)):
        # Batches hold at most four records, so one at least is done before that of the held record.
        case.wait_for(lambda: "holding" in case.log(case.mode) and case.committed() == len(set(case.out)) > 0)
        assert set(case.out) == set(VALUES[: len(set(case.out))])
        assert VALUES[HELD] not in case.out
    with case.holding(held=""):
        case.wait_for(lambda: set(case.out) == set(VALUES) and case.committed() == COUNT)


@pytest.mark.parametrize("bootstrap", ["embedded"], indirect=True)
def test_a_batch_that_hangs_does_not_hold_up_a_stop_and_is_not_committed(open_case: Callable[[str], Case]) -> None:
    case = open_case("stage")
    case.produce(VALUES)
    child = case.start_app(held=str(HELD))
    case.wait_for(lambda: "holding" in case.log(case.mode))
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0, case.report()
    done = case.committed()
    assert done is not None
    assert 0 < done <= HELD


def test_a_fetch_that_is_lost_is_read_again(open_case: Callable[[str], Case]) -> None:
    case = open_case("dropping")
    case.produce(VALUES)
    with case.holding(held=""):
        case.wait_for(lambda: "dropped" in case.log(case.mode) and set(case.out) == set(VALUES))
        case.produce([b"last"])
        case.wait_for(lambda: set(case.out) == {*VALUES, b"last"} and case.committed() == COUNT + 1)
    assert "was delivered where" not in case.log(case.mode)


def test_records_done_out_of_order_are_kept_by_our_driver_and_lost_by_fausts(open_case: Callable[[str], Case]) -> None:
    guarded, unguarded = open_case("guarded"), open_case("unguarded")
    cases = {guarded: HELD, unguarded: COUNT}
    for case in cases:
        case.produce(VALUES)
    with guarded.holding(held=str(HELD)), unguarded.holding(held=str(HELD)):
        for case, expected in cases.items():
            case.wait_for(lambda case=case: set(case.out) == set(VALUES) - {VALUES[HELD]})
            case.wait_for(lambda case=case, expected=expected: case.committed() == expected)
    for case in cases:
        case.produce([b"last"])
    with guarded.holding(held=""), unguarded.holding(held=""):
        for case in cases:
            case.wait_for(lambda case=case: b"last" in case.out)
    assert set(guarded.out) == {*VALUES, b"last"}
    assert VALUES[HELD] not in unguarded.out
