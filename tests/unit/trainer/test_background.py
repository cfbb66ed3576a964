"""Work beside the step: in order, nothing after a failure, and no failure unseen."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.background import Line

pytestmark = pytest.mark.timeout(60)


class BrokenJobError(Exception):
    pass


def broken() -> None:
    raise BrokenJobError


@given(jobs=st.lists(st.booleans(), max_size=12))
def test_jobs_are_done_in_order_up_to_the_first_that_fails(jobs: list[bool]):
    line, done = Line("test"), []
    begin = threading.Event()
    line.put(begin.wait)  # all are put before any is done: else `put` itself may raise
    for number, fails in enumerate(jobs):
        line.put(broken if fails else lambda number=number: done.append(number))
    begin.set()
    if any(jobs):
        with pytest.raises(BrokenJobError):
            line.finish()
    else:
        line.finish()
    line.close()
    assert done == list(range(jobs.index(True) if any(jobs) else len(jobs)))


@pytest.mark.parametrize("use", [Line.check, Line.finish, lambda line: line.put(print)])
def test_a_failure_is_raised_wherever_the_line_is_used_next(use):
    line = Line("test")
    line.put(broken)
    with pytest.raises(BrokenJobError):
        line.finish()
    with pytest.raises(BrokenJobError):
        use(line)
    line.close()


def test_to_close_is_to_do_what_was_put():
    line, done = Line("test"), []
    begin = threading.Event()
    line.put(begin.wait)
    line.put(lambda: done.append(1))
    begin.set()
    line.close()
    assert done == [1]


def test_the_owner_goes_on_while_a_job_is_done_and_its_wait_is_measured():
    line = Line("test")
    begun, end = threading.Event(), threading.Event()
    line.put(lambda: (begun.set(), end.wait()))
    assert begun.wait(30)  # the owner is here while the job is not done
    threading.Timer(0.05, end.set).start()
    line.finish()
    seconds = line.take_seconds()
    assert seconds["beside"] > 0
    assert seconds["wait"] > 0
    assert line.take_seconds() == {"beside": 0.0, "wait": 0.0}
    line.close()
