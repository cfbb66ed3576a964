"""Holding a batch through an outage, on a clock of its own."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import virtual_time
from support.examples import ROLLOUT
from support.metrics import metric_value

from streams.messages import Question, Rollout, Status
from workers.scoring.heartbeat import Heartbeat
from workers.scoring.retrying import CONTROL, Outage, Retry, RetryingScorer
from workers.scoring.scorers import VerifierScorer
from workers.verifiers.base import Verdict

START = 1000.0
OK = Verdict(score=1.0, status=Status.JUDGED, why="yes", scorer="judge", version="1")
FAILED = Verdict(score=None, status=Status.INFRA_ERROR, why="nonsense", scorer="judge", version="1")
DOWN = Outage(why="refused", scorer="judge", version="1")


@dataclass
class World:
    """A scorer that follows a script, one entry a call, the last from then on; time passes by sleeping only."""

    script: list[list[Verdict | Outage]]
    now: float = START
    waits: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    controls: int = 0
    """Calls for CONTROL, which gets what the call before it got first."""
    last: Verdict | Outage = OK

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
        if rollouts == [CONTROL]:
            self.controls += 1
            return [self.last]
        self.calls.append(len(rollouts))
        answers = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.last = answers[0]
        return answers * len(rollouts) if len(answers) == 1 else answers

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return None

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def ask(self, *deadlines: float, attempts: int = 3) -> list[Verdict]:
        rollouts = [msgspec.structs.replace(ROLLOUT, index=i, deadline=START + d) for i, d in enumerate(deadlines)]
        retry = Retry(attempts=attempts, backoff_seconds=0.5, sleep=self.sleep)
        asking = RetryingScorer(
            stage="genrm", scorer=self, retry=retry, heartbeat=Heartbeat(60.0), clock=lambda: self.now
        )
        return asyncio.run(asking.verdicts(rollouts))


def test_an_outage_holds_the_batch_with_growing_capped_waits_until_it_is_over() -> None:
    world = World([[DOWN]] * 9 + [[OK]])
    assert world.ask(600, 600) == [OK, OK]
    assert world.waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert metric_value("scorer_unavailable", stage="genrm") == 0


def test_what_the_scorer_asks_for_is_respected_up_to_the_last_deadline() -> None:
    world = World([[Outage(why="429", scorer="judge", version="1", retry_after=20.0)]] * 2 + [[OK]])
    assert world.ask(30, 25) == [OK, OK]
    assert world.waits == [20.0, 10.0]


def test_each_rollout_is_held_to_its_own_deadline_and_is_then_an_infra_error() -> None:
    world = World([[DOWN]] * 7 + [[OK]])
    early, late = world.ask(10, 600)
    assert (early.score, early.status) == (None, Status.INFRA_ERROR)
    assert "deadline had passed: refused" in early.why
    assert late == OK
    assert world.calls == [2, 2, 2, 2, 2, 2, 1, 1]


def test_a_replayed_rollout_is_past_its_deadline_and_still_has_its_attempts() -> None:
    assert World([[DOWN], [DOWN], [OK]]).ask(-9e6) == [OK]
    [lost] = World([[DOWN]]).ask(-9e6)
    assert lost.status is Status.INFRA_ERROR


def test_an_outage_uses_up_no_attempt_of_a_request_that_fails_by_itself() -> None:
    world = World([[DOWN]] * 5 + [[FAILED], [FAILED], [OK]])
    assert world.ask(600) == [OK]


def test_only_what_has_no_answer_is_asked_again() -> None:
    world = World([[OK, DOWN, FAILED], [DOWN, OK], [OK]])
    assert world.ask(600, 600, 600) == [OK, OK, OK]
    assert world.calls == [3, 2, 1]


@given(
    script=st.lists(st.sampled_from([OK, DOWN, FAILED]), min_size=1, max_size=12),
    deadlines=st.lists(st.floats(-100, 1000), min_size=1, max_size=5),
)
def test_every_rollout_gets_one_verdict_and_a_failure_is_never_a_score(script, deadlines) -> None:
    world = World([[answer] for answer in script])
    verdicts = world.ask(*deadlines)
    assert len(verdicts) == len(deadlines)
    assert all(verdict == OK or (verdict.score, verdict.status) == (None, Status.INFRA_ERROR) for verdict in verdicts)
    assert world.now - START <= max(0, *deadlines) + 2 * 30 + 3 * 30


@dataclass
class Pills:
    """A scorer that answers at once, but has an outage, or raises, for every rollout whose text names it so."""

    asked: int = 0
    slept: float = 0.0

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
        self.asked += len(rollouts)
        if any(rollout.text == "raises" for rollout in rollouts):
            raise KeyError("a template's variable")
        return [DOWN if rollout.text == "unanswered" else OK for rollout in rollouts]

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return None

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def ask(self, *texts: str) -> list[Verdict]:
        rollouts = [msgspec.structs.replace(ROLLOUT, index=i, text=t, deadline=1e9) for i, t in enumerate(texts)]
        retry = Retry(attempts=3, backoff_seconds=0.5, sleep=self.sleep)
        asking = RetryingScorer(stage="genrm", scorer=self, retry=retry, clock=lambda: START)
        return asyncio.run(asking.verdicts(rollouts))


@given(st.lists(st.sampled_from(["fine", "unanswered", "raises"]), min_size=1, max_size=9))
def test_a_request_that_always_fails_holds_no_other_and_is_asked_a_bounded_number_of_times(texts) -> None:
    """Also if it is alone in its batch. The deadline is far away, so nothing else would end the wait."""
    pills = Pills()
    found = pills.ask(*texts)
    assert [verdict.status is Status.INFRA_ERROR for verdict in found] == [text != "fine" for text in texts]
    assert pills.slept <= 0.5 + 1 + 2 + 4 + 8
    assert pills.asked <= 16 * len(texts) + 8


def test_a_crowd_that_is_turned_away_together_loses_no_request_of_it() -> None:
    """A server that answers requests one at a time, and none of a batch."""

    class Overloaded(Pills):
        async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
            return [OK if len(rollouts) == 1 else DOWN for _ in rollouts]

    assert Overloaded().ask("a", "b", "c") == [OK] * 3


def test_a_scorer_that_raises_on_everything_ends_its_process() -> None:
    class Defect(Pills):
        async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
            raise KeyError("defect")

    with pytest.raises(KeyError, match="defect"):
        Defect().ask("a", "b")


def test_a_silent_batch_is_cancelled_and_one_that_says_how_long_it_waits_is_not() -> None:
    async def held(heartbeat: Heartbeat) -> None:
        async with heartbeat.watch():
            for _ in range(3):
                heartbeat.beat(quiet_seconds=40)
                await asyncio.sleep(40.5)

    async def silent(heartbeat: Heartbeat) -> None:
        async with heartbeat.watch():
            heartbeat.beat()
            await asyncio.sleep(1.5)

    virtual_time.run(held(Heartbeat(1.0)))
    with pytest.raises(TimeoutError):
        virtual_time.run(silent(Heartbeat(1.0)))


def test_each_verdict_of_a_batch_is_a_heartbeat() -> None:
    """Twice the limit in all, each well within it: a pool of one process that is given ten hanging responses."""

    class Slow:
        def __init__(self, on_verdict: Callable[[], None]) -> None:
            self._process = asyncio.Lock()
            self._on_verdict = on_verdict

        async def verify(self, question: Question, response: str) -> Verdict:
            async with self._process:
                await asyncio.sleep(20)
            self._on_verdict()
            return OK

    async def batch(pool: Slow, heartbeat: Heartbeat) -> list[Verdict]:
        async with heartbeat.watch():
            return await VerifierScorer(pool).score([ROLLOUT] * 10)

    heartbeat = Heartbeat(100.0)
    assert virtual_time.run(batch(Slow(heartbeat.beat), heartbeat)) == [OK] * 10
    with pytest.raises(TimeoutError):
        virtual_time.run(batch(Slow(lambda: None), heartbeat))
