"""A single-thread, fail-fast executor for work that overlaps the next step (publishing, checkpoints).

Invariant: jobs run one at a time, in the order in which they were submitted. After a job fails, no further job runs,
and its error is raised at the next use of the executor. The effect of one job therefore proves those of all jobs
before it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class SerialExecutor:
    """Has one owner, which calls it from one thread. `submit`, `check` and `drain` raise the error of a failed job."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None
        self._error: BaseException | None = None
        self._worked = 0.0
        self._waited = 0.0

    def submit(self, job: Callable[[], object]) -> None:
        """Queues the job and returns at once."""
        self.check()
        self._last = self._pool.submit(self._run, job)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Returns when every submitted job is done."""
        clock = time.monotonic()
        if self._last is not None:
            self._last.result()
        self._waited += time.monotonic() - clock
        self.check()

    def close(self) -> None:
        """Waits for the submitted jobs, up to the first that failed. Raises nothing."""
        self._pool.shutdown()

    def pop_timings(self) -> dict[str, float]:
        """Seconds since the last call: `background`, spent in finished jobs, and `wait`, spent by the owner in
        `drain`.
        """
        seconds = {"background": self._worked, "wait": self._waited}
        self._worked = self._waited = 0.0
        return seconds

    def _run(self, job: Callable[[], object]) -> None:
        if self._error is not None:
            return
        clock = time.monotonic()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 (raised again at the next use of the executor)
            self._error = error
        self._worked += time.monotonic() - clock
