"""An engine on a simulated clock, whose step slows with the samples in it. Times in seconds.

Invariant: it counts decode steps, in each of which every running sample makes one token. A sample that joins at step c
with n tokens to make leaves at c + n, whatever joins or leaves meanwhile.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class SimulatedEngine:
    decode_seconds: float
    """Of a decode step with one sample in it."""
    decode_seconds_more: float
    """By every further sample."""
    at: float = 0.0
    step: float = 0.0
    running: list[tuple[float, int, float]] = field(default_factory=list)
    """(decode step at which it leaves, group, tokens), a heap."""
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    epoch: int = 0
    """Tells the newest of its wake-ups from those that something overtook."""

    @property
    def load(self) -> int:
        return len(self.running) + len(self.waiting)

    def advance(self, now: float) -> list[tuple[int, float]]:
        """Decode until `now`; returns (group, tokens) of the samples that left."""
        if self.running:
            self.step += (now - self.at) / self._seconds
        self.at = now
        left = []
        while self.running and self.running[0][0] <= self.step:
            left.append(heapq.heappop(self.running)[1:])
        return left

    def join(self, seq: int, tokens: float) -> None:
        heapq.heappush(self.running, (self.step + tokens, seq, tokens))

    @property
    def next_step(self) -> float:
        """The decode step at which the next sample leaves."""
        return self.running[0][0] if self.running else math.inf

    def seconds_to_next(self) -> float:
        return max(0.0, self.next_step - self.step) * self._seconds

    @property
    def _seconds(self) -> float:
        return self.decode_seconds + self.decode_seconds_more * (len(self.running) - 1)
