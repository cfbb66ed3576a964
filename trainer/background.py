"""Work beside the step: one thread that does what it is given, in the order in which it is given.

Invariant: jobs run one at a time; after one that failed none runs any more, and its error is raised wherever the line
is used next. So whoever sees the effect of a job may rely on those of all jobs before it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class SerialExecutor:
    """For one owner, who calls from one thread. A job's own error is what `put`, `check` and `finish` raise."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None
        self._error: BaseException | None = None
        self._worked = 0.0
        self._waited = 0.0

    def submit(self, job: Callable[[], object]) -> None:
        """Returns at once."""
        self.check()
        self._last = self._pool.submit(self._do, job)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Returns when all that was put is done."""
        clock = time.monotonic()
        if self._last is not None:
            self._last.result()
        self._waited += time.monotonic() - clock
        self.check()

    def close(self) -> None:
        """All that was put is done, as far as no error came between; raises nothing."""
        self._pool.shutdown()

    def pop_timings(self) -> dict[str, float]:
        """Since the last call: `beside`, of the jobs that are done, and `wait`, of the owner in `finish`."""
        seconds = {"background": self._worked, "wait": self._waited}
        self._worked = self._waited = 0.0
        return seconds

    def _do(self, job: Callable[[], object]) -> None:
        if self._error is not None:
            return
        clock = time.monotonic()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 (raised again where the line is used next)
            self._error = error
        self._worked += time.monotonic() - clock
