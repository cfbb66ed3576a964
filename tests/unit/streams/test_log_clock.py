"""Deadlines follow the records that name them: a process with a wrong clock judges as one with a right clock does."""

import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.metrics import metrics
from streams.log_clock import LogClock, measure_skew
from streams.records import Record

HOUR = 3600.0


class Machine:
    """A machine whose clock is `skew` seconds ahead of the dispatcher's; time passes as it is told."""

    def __init__(self, skew: float = 0.0) -> None:
        self.passed = 0.0
        self.skew = skew
        self.clock = LogClock(lambda: 7.0 + self.passed, lambda: 1e9 + self.skew + self.passed)

    def read(self, *, waited: float = 0.0) -> None:
        """Reads a ticket that the dispatcher wrote `waited` seconds ago."""
        self.clock.see(Record("prompts", 0, 0, 1e9 + self.passed - waited, b"k", b""))


def test_nothing_is_late_before_the_first_ticket() -> None:
    assert Machine().clock.now() == -math.inf


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=5), st.floats(-HOUR, HOUR))
def test_the_own_clock_has_no_say(pauses: list[float], skew: float) -> None:
    right, wrong = Machine(), Machine(skew)
    for pause in pauses:
        for machine in (right, wrong):
            machine.read()
            machine.passed += pause
            machine.skew *= -1  # it jumps, too
        assert right.clock.now() == wrong.clock.now() == pytest.approx(1e9 + right.passed, abs=1e-5)


@given(st.floats(0.0, HOUR), st.floats(0.0, HOUR))
def test_a_ticket_that_waited_makes_it_late_and_never_early(waited: float, pause: float) -> None:
    machine = Machine()
    machine.read(waited=waited)
    machine.passed += pause
    assert machine.clock.now() <= 1e9 + machine.passed + 1e-5
    machine.read()
    assert machine.clock.now() == pytest.approx(1e9 + machine.passed, abs=1e-5)


@pytest.mark.parametrize(
    ("ages", "skew"),
    [([5.0, 0.0], 0.0), ([3600.0], 0.0), ([5.0, -3600.0, 1.0], 3600.0)],
)
def test_a_record_from_the_future_is_a_skew_and_one_that_waited_is_none(ages: list[float], skew: float) -> None:
    metrics.clock_skew_seconds.set(7.0)
    measure_skew([Record("rollouts", 0, 0, 1e9 - age, b"k", b"") for age in ages], lambda: 1e9)
    assert metrics.clock_skew_seconds._value.get() == skew
    measure_skew([], lambda: 0.0)
    assert metrics.clock_skew_seconds._value.get() == skew


@pytest.mark.parametrize(("skew", "said"), [(HOUR, "3600 s ago"), (-HOUR, "3600 s in the future"), (1.0, None)])
def test_a_wrong_clock_is_said_and_not_with_every_ticket(
    skew: float, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(skew)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            machine.read()
    assert [said in text for text in caplog.messages] == ([True] if said else [])
