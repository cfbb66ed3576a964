"""Work beside the step: in order, nothing after a failure, and no failure unseen."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.background import SerialExecutor

pytestmark = pytest.mark.timeout(60)


class BrokenJobError(Exception):
    pass


def broken() -> None:
    raise BrokenJobError


@given(jobs=st.lists(st.booleans(), max_size=12))
def test_jobs_are_done_in_order_up_to_the_first_that_fails(jobs: list[bool]):
    executor, done = SerialExecutor("test"), []
    begin = threading.Event()
    executor.submit(begin.wait)  # all are put before any is done: else `put` itself may raise
    for number, fails in enumerate(jobs):
        executor.submit(broken if fails else lambda number=number: done.append(number))
    begin.set()
    if any(jobs):
        with pytest.raises(BrokenJobError):
            executor.drain()
    else:
        executor.drain()
    executor.close()
    assert done == list(range(jobs.index(True) if any(jobs) else len(jobs)))


@pytest.mark.parametrize("use", [SerialExecutor.check, SerialExecutor.drain, lambda executor: executor.submit(print)])
def test_a_failure_is_raised_wherever_the_line_is_used_next(use):
    executor = SerialExecutor("test")
    executor.submit(broken)
    with pytest.raises(BrokenJobError):
        executor.drain()
    with pytest.raises(BrokenJobError):
        use(executor)
    executor.close()


def test_to_close_is_to_do_what_was_put():
    executor, done = SerialExecutor("test"), []
    begin = threading.Event()
    executor.submit(begin.wait)
    executor.submit(lambda: done.append(1))
    begin.set()
    executor.close()
    assert done == [1]


def test_the_owner_goes_on_while_a_job_is_done_and_its_wait_is_measured():
    executor = SerialExecutor("test")
    begun, end = threading.Event(), threading.Event()
    executor.submit(lambda: (begun.set(), end.wait()))
    assert begun.wait(30)  # the owner is here while the job is not done
    threading.Timer(0.05, end.set).start()
    executor.drain()
    seconds = executor.pop_timings()
    assert seconds["background"] > 0
    assert seconds["wait"] > 0
    assert executor.pop_timings() == {"background": 0.0, "wait": 0.0}
    executor.close()
