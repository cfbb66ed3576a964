"""A run on a simulated clock: engines, learner and selector as events, around the same `Admission` that runs use.

It simulates samples of drawn lengths, decoded together by engines whose decode step slows with the number of samples;
groups that complete, are filtered, or expire at their deadline; and a learner that takes what the window allows, steps,
announces and closes. It does not simulate failures of processes, memory, or text.

Invariants:
- Nothing here decides what may be dispatched or taken; `Admission` does.
- A run is a function of its plan.
- An engine counts decode steps, in each of which every running sample makes one token. A sample that joins at step c
  with n tokens to make leaves at c + n, whatever joins or leaves meanwhile.
"""

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from infra.settings.admission_limits import AdmissionLimits
from trainer.curriculum.admission import Admission

Lengths = Callable[[random.Random], float]
"""Draws the number of tokens of one response, at least 1; infinity means that it never ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """The parameters of a simulated run. Times are in seconds."""

    limits: AdmissionLimits
    lengths: Lengths
    engines: int
    running: int
    """Samples that one engine decodes together; the others wait."""
    group_size: int
    steps: int
    decode_seconds: float
    """Time of a decode step with one sample."""
    decode_seconds_more: float
    """Additional time of a decode step for every further sample."""
    learner_tokens_per_second: float
    step_seconds: float = 0.0
    """Fixed time of a learner's step, in addition to that of its tokens."""
    publish_seconds: float = 0.0
    """Time from a step's end until the engines have its weights. Running samples continue meanwhile, and with the new
    weights."""
    latency_seconds: float = 0.0
    """Time from a free slot to the ticket at the engine, and again from a group's last sample to the learner."""
    deadline_seconds: float = math.inf
    filtered: float = 0.0
    """Fraction of the complete groups that are not trained on."""
    placement: Literal["hashed", "idle"] = "hashed"
    """`hashed`: a group goes to an engine by its key, as the log's partitions do; `idle`: to the least loaded one."""
    seed: int = 0


@dataclass(slots=True)
class SimulatedRun:
    """The results of a simulated run."""

    seconds: float = 0.0
    step_ends: list[float] = field(default_factory=list)
    step_tokens: list[float] = field(default_factory=list)
    ages: Counter[int] = field(default_factory=Counter)
    """Number of trained groups, by versions between dispatch and step."""
    staleness: Counter[int] = field(default_factory=Counter)
    """Number of trained groups, by versions between their oldest token and the step."""
    closed: Counter[str] = field(default_factory=Counter)
    """Number of groups by outcome: trained, filtered, expired."""
    most_open: int = 0
    latest_closing: float = 0.0
    """Longest time past its deadline at which a group without all its samples was still open."""

    def tokens_per_second(self, skip: int = 0) -> float:
        """Throughput of the steps after the first `skip`, during which the slots fill."""
        start = self.step_ends[skip - 1] if skip else 0.0
        return sum(self.step_tokens[skip:]) / (self.step_ends[-1] - start)

    def mean_staleness(self) -> float:
        return sum(age * count for age, count in self.staleness.items()) / self.staleness.total()


@dataclass(slots=True)
class SimulatedEngine:
    decode_seconds: float
    decode_seconds_more: float
    at: float = 0.0
    """Time up to which it has decoded."""
    step: float = 0.0
    """Number of decode steps so far."""
    running: list[tuple[float, int, float]] = field(default_factory=list)
    """(decode step at which it leaves, group, tokens), a heap."""
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    epoch: int = 0
    """Distinguishes the newest wake-up from older ones, which no longer count."""

    @property
    def load(self) -> int:
        return len(self.running) + len(self.waiting)

    def advance(self, now: float) -> list[tuple[int, float]]:
        """Decodes until `now`; returns (group, tokens) of the samples that left."""
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


@dataclass(slots=True)
class _Group:
    born: int
    missing: int
    deadline: float
    tokens: float = 0
    oldest: int | None = None
    """Version under which its first sample started."""


class Simulation:
    """One run. `play` returns its results; raises DeadlockError if the run would never make its steps."""

    def __init__(self, plan: SimulationPlan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._admission = Admission(plan.limits)
        self._engines = [SimulatedEngine(plan.decode_seconds, plan.decode_seconds_more) for _ in range(plan.engines)]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._now = 0.0
        self._version = 0
        self._engine_version = 0
        """The version that the engines have."""
        self._groups: dict[int, _Group] = {}
        self._next = 0
        self._arrived: list[tuple[int, bool]] = []
        """Groups that the learner has not looked at, with True if they are complete and False if they are overdue."""
        self._ready: list[int] = []
        """Trainable groups, a heap."""
        self._batch: list[int] = []
        self._stepping = False
        self.outcome = SimulatedRun()
        """Results of the run so far."""
        self._dispatch()

    def play(self) -> SimulatedRun:
        while self.advance():
            pass
        return self.outcome

    def advance(self) -> bool:
        """Processes one event; returns False once the run has made its steps."""
        if self._version >= self._plan.steps:
            return False
        if not self._events:
            raise DeadlockError(f"after {self._version} of {self._plan.steps} steps at {self._now:.0f} s")
        self._now, _, event = heapq.heappop(self._events)
        event()
        self.outcome.seconds = self._now
        return True

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self._now + seconds, self._order, event))

    # The selector

    def _dispatch(self) -> None:
        plan = self._plan
        for _ in range(self._admission.free_slots):
            seq, self._next = self._next, self._next + 1
            self._admission.dispatched(seq, train=True)
            self._groups[seq] = _Group(self._version, plan.group_size, self._now + plan.deadline_seconds)
            self._after(plan.latency_seconds, partial(self._arrive, seq))
            if plan.deadline_seconds < math.inf:
                self._after(plan.deadline_seconds, partial(self._expire, seq))
        self.outcome.most_open = max(self.outcome.most_open, self._admission.open_groups)

    # The engines

    def _arrive(self, seq: int) -> None:
        if seq not in self._groups:
            return
        if self._plan.limits.staleness == 0 and self._engine_version < self._groups[seq].born:
            self._after(self._plan.publish_seconds, lambda: self._arrive(seq))  # synchronous: new weights first
            return
        if self._plan.placement == "idle":
            engine = min(self._engines, key=lambda engine: engine.load)
        else:
            engine = self._random.choice(self._engines)
        for _ in range(self._plan.group_size):
            engine.waiting.append((seq, max(1, self._plan.lengths(self._random))))
        self._work(engine)

    def _work(self, engine: SimulatedEngine) -> None:
        """Lets finished samples leave and waiting ones join, and wakes the engine when the next sample leaves."""
        for seq, tokens in engine.advance(self._now):
            self._sampled(seq, tokens)
        while engine.waiting and len(engine.running) < self._plan.running:
            seq, tokens = engine.waiting.popleft()
            group = self._groups.get(seq)
            if group is None:
                continue  # expired before it started
            group.oldest = self._engine_version if group.oldest is None else group.oldest
            engine.join(seq, tokens)
        engine.epoch += 1
        if engine.next_step < math.inf:
            epoch = engine.epoch
            self._after(engine.seconds_to_next(), lambda: self._wake(engine, epoch))

    def _wake(self, engine: SimulatedEngine, epoch: int) -> None:
        if epoch == engine.epoch:
            engine.step, engine.at = engine.next_step, self._now  # exactly, however the clock is rounded
            self._work(engine)

    def _sampled(self, seq: int, tokens: float) -> None:
        group = self._groups.get(seq)
        if group is None:
            return  # expired meanwhile
        group.missing -= 1
        group.tokens += tokens
        if group.missing == 0:
            self._after(self._plan.latency_seconds, lambda: self._scored(seq))

    # The learner, which looks at its groups between steps

    def _scored(self, seq: int) -> None:
        self._arrived.append((seq, True))
        self._learn()

    def _expire(self, seq: int) -> None:
        if seq in self._groups and self._groups[seq].missing:
            self._arrived.append((seq, False))
            self._learn()

    def _learn(self) -> None:
        if self._stepping:
            return
        for seq, complete in self._arrived:
            self._look_at(seq, complete=complete)
        self._arrived.clear()
        while self._ready and len(self._batch) < self._plan.limits.groups_per_step:
            if not self._admission.takeable(self._ready[0]):
                break  # if the window refuses the oldest ready group, it refuses the younger ones too
            seq = heapq.heappop(self._ready)
            self._admission.take(seq)
            self._batch.append(seq)
        if len(self._batch) == self._plan.limits.groups_per_step:
            tokens = sum(self._groups[seq].tokens for seq in self._batch)
            self._stepping = True
            self._after(
                self._plan.step_seconds + tokens / self._plan.learner_tokens_per_second, lambda: self._stepped(tokens)
            )
        self._dispatch()

    def _look_at(self, seq: int, *, complete: bool) -> None:
        group = self._groups.get(seq)
        if group is None:
            return
        if not complete:
            if not group.missing:
                return  # completed while the learner stepped, and is on its way
            self.outcome.latest_closing = max(self.outcome.latest_closing, self._now - group.deadline)
            self._close(seq, "expired")
        elif self._random.random() < self._plan.filtered:
            self._close(seq, "filtered")
        else:
            heapq.heappush(self._ready, seq)

    def _stepped(self, tokens: float) -> None:
        outcome = self.outcome
        for seq in self._batch:
            group = self._groups[seq]
            outcome.ages[self._version - group.born] += 1
            outcome.staleness[self._version - (group.oldest or 0)] += 1
        self._version += 1
        version = self._version
        self._after(self._plan.publish_seconds, lambda: self._load_version(version))
        outcome.step_ends.append(self._now)
        outcome.step_tokens.append(tokens)
        for seq in self._batch:
            self._close(seq, "trained")
        self._batch.clear()
        self._stepping = False
        self._learn()

    def _load_version(self, version: int) -> None:
        self._engine_version = version

    def _close(self, seq: int, outcome: str) -> None:
        self._admission.closed(seq)
        del self._groups[seq]
        self.outcome.closed[outcome] += 1


class DeadlockError(RuntimeError):
    """No event is left, and the run has not made its steps."""
