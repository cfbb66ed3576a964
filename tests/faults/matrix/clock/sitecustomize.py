"""Shifts the clock of a Python process, for the fault matrix alone: it is imported if this folder is on PYTHONPATH.

REWARDSTREAM_MATRIX_CLOCK names a file that holds seconds, which `time.time` and `time.time_ns` add from then on. The
file is looked at ten times a second. `datetime.now`, monotonic clocks, and clocks outside Python are left alone.
"""

import os
import time

_FILE = os.environ.get("REWARDSTREAM_MATRIX_CLOCK")
_LOOK_SECONDS = 0.1


def _shifted() -> None:
    now, now_ns, monotonic = time.time, time.time_ns, time.monotonic
    state = [0.0, 0.0]

    def shift() -> float:
        at = monotonic()
        if at >= state[0]:
            state[0] = at + _LOOK_SECONDS
            try:
                with open(_FILE, encoding="utf-8") as file:  # noqa: PTH123 (nothing may be imported this early)
                    state[1] = float(file.read() or 0)
            except (OSError, ValueError):
                state[1] = 0.0
        return state[1]

    time.time = lambda: now() + shift()
    time.time_ns = lambda: now_ns() + int(shift() * 1e9)


if _FILE:
    _shifted()
