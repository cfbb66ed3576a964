"""Progress of the preparation as plain lines: one per artifact, and one every ten seconds while it is made."""

import time

_EVERY_SECONDS = 10.0


class Steps:
    """Call it as `steps(what, done, total)`. An artifact that already exists prints nothing."""

    def __init__(self) -> None:
        self._what = ""
        self._shown_at = 0.0
        self._started = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._started, self._shown_at = what, now, now
        elif done < total and now - self._shown_at >= _EVERY_SECONDS:
            self._shown_at = now
            print(f"  {what}: {done} of {total}, {now - self._started:.0f} s", flush=True)
        elif done == total and now - self._started >= 1:
            print(f"  {what}: done in {now - self._started:.0f} s", flush=True)
            self._started = now
