"""Decides when something that died is started again, and when it is given up. Pure: times are passed in.

Invariant: the wait doubles with each short life and starts over after a long one. A life that ended because a broker
or database outside was away is no short life: it is started again until the part was away for too long.
"""

from dataclasses import dataclass

FIRST_SECONDS = 0.5
"""A killed process is back before its consumer group notices (a session is ten seconds)."""
LONGEST_SECONDS = 10.0
LONG_LIFE_SECONDS = 60.0
"""A service that lived this long had started properly, so its next death is a new event."""
SHORT_LIVES = 6
"""This many consecutive short lives are a defect or a missing part, which a restart does not mend. With six, a service
waits 25 s in all, plus the time of its own starts, for a part that comes back."""


OUTAGE_SECONDS = 3600.0
"""A part that is away for longer needs somebody who starts the run again when it is back."""
_OUTAGE_WAIT_SECONDS = 2.0
"""A service waits for the part itself when it starts, so this only bounds how fast one that does not is started."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    first_seconds: float = FIRST_SECONDS
    longest_seconds: float = LONGEST_SECONDS
    long_life_seconds: float = LONG_LIFE_SECONDS
    short_lives: int = SHORT_LIVES
    outage_seconds: float = OUTAGE_SECONDS


class Restarts:
    """The deaths of one service."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._short_lives = 0
        self._outage_since: float | None = None

    def after_death(self, life_seconds: float) -> float | None:
        """Seconds to wait before the next start; None if the service is given up."""
        self._outage_since = None
        if life_seconds >= self._policy.long_life_seconds:
            self._short_lives = 0
        self._short_lives += 1
        if self._short_lives >= self._policy.short_lives:
            return None
        return min(self._policy.longest_seconds, self._policy.first_seconds * 2.0 ** (self._short_lives - 1))

    def after_outage(self, life_seconds: float, now: float) -> float | None:
        """Seconds to wait before the next start of a service that found a part away; None if it is given up. `now`:
        time.monotonic().
        """
        if self._outage_since is None or life_seconds >= self._policy.long_life_seconds:
            self._outage_since = now
        if now - self._outage_since >= self._policy.outage_seconds:
            return None
        return min(self._policy.longest_seconds, _OUTAGE_WAIT_SECONDS)
