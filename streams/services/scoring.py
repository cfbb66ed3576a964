"""Scoring a batch of rollouts: decode, ask the scorer, ask again what it could not answer, publish.

Invariant: every rollout of a batch leaves as exactly one ScoredTrajectory or one dead letter. A scorer that
cannot answer makes `infra_error` with score None, after retries; it never makes a reward.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from infra import metrics
from streams.codec import DecodeError, encode, header, headers_of
from streams.dead_letters import dead_letter
from streams.messages import Rollout, Route, ScoredTrajectory, Status
from streams.records import Output, Record
from streams.services.checks import rollout_of
from streams.services.routing import SHADOW_HEADER
from workers.verifiers.base import Verdict

CUT_OFF = "length"
"""A rollout's finish_reason where it reached its token limit."""
_LONGEST_BACKOFF_SECONDS = 30.0
"""An endpoint that is back is asked again within this."""


class Scorer(Protocol):
    """What a stage asks. It raises only on its own defects, which end the process."""

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict a rollout, in order."""
        ...

    def unfit(self, rollout: Rollout) -> str | None:
        """Why this scorer can never score the rollout; None where it can."""
        ...


@dataclass(frozen=True, kw_only=True)
class Retry:
    attempts: int
    backoff_seconds: float
    """Before the second attempt; doubles before each later one."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def wait(self, attempt: int) -> None:
        """`attempt` counts from 1 and has failed."""
        await self.sleep(min(self.backoff_seconds * 2 ** (attempt - 1), _LONGEST_BACKOFF_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Scoring:
    stage: str
    route: Route
    scorer: Scorer
    retry: Retry
    scored: str
    """Topic of the scored trajectories."""
    dead_letters: str
    clock: Callable[[], float] = field(default=time.time)

    async def handle(self, records: list[Record]) -> list[Output]:
        outputs: list[Output] = []
        batch: list[tuple[Record, Rollout]] = []
        for record in records:
            try:
                batch.append((record, self._decode(record)))
            except DecodeError as error:
                outputs.append(dead_letter(record, error, self.stage, self.dead_letters))
        if batch:
            verdicts = await self._verdicts([rollout for _, rollout in batch])
            pairs = zip(batch, verdicts, strict=True)
            outputs += [self._scored(record, rollout, verdict) for (record, rollout), verdict in pairs]
        return outputs

    def _decode(self, record: Record) -> Rollout:
        rollout = rollout_of(record)
        reason = self.scorer.unfit(rollout)
        if reason is not None:
            raise DecodeError(f"rollout {rollout.rollout_id}: {reason}")
        return rollout

    async def _verdicts(self, rollouts: list[Rollout]) -> list[Verdict]:
        verdicts = [checked(verdict) for verdict in await self.scorer.score(rollouts)]
        for attempt in range(1, self.retry.attempts):
            failed = [index for index, verdict in enumerate(verdicts) if verdict.status is Status.INFRA_ERROR]
            if not failed:
                break
            await self.retry.wait(attempt)
            again = await self.scorer.score([rollouts[index] for index in failed])
            for index, verdict in zip(failed, again, strict=True):
                verdicts[index] = checked(verdict)
        return [finished(rollout, verdict) for rollout, verdict in zip(rollouts, verdicts, strict=True)]

    def _scored(self, record: Record, rollout: Rollout, verdict: Verdict) -> Output:
        now = self.clock()
        shadow = header(record.headers, SHADOW_HEADER) is not None
        message = ScoredTrajectory(
            rollout=rollout,
            score=verdict.score,
            status=verdict.status,
            why=verdict.why,
            route=self.route,
            scorer=verdict.scorer,
            scorer_version=verdict.version,
            seconds=verdict.seconds,
            scored_at=now,
            details=verdict.details | ({SHADOW_HEADER: True} if shadow else {}),
        )
        self._count(message, now)
        marks = {"route": str(self.route)} | ({SHADOW_HEADER: "1"} if shadow else {})
        return Output(self.scored, record.key, encode(message), tuple(headers_of(message, **marks)))

    def _count(self, message: ScoredTrajectory, now: float) -> None:
        metrics.scorer_requests_total.labels(message.scorer, message.status).inc()
        metrics.scorer_seconds.labels(message.scorer).observe(message.seconds)
        metrics.end_to_end_seconds.labels(self.stage).observe(max(0.0, now - message.rollout.timings.dispatched))
        if message.score is not None:
            metrics.score.labels(self.route, message.rollout.domain).observe(message.score)


def finished(rollout: Rollout, verdict: Verdict) -> Verdict:
    """The verdict, or score 0 where the prompt's option `must_finish` is set and the answer was cut off: half of a
    right answer is cheap, and a policy that is paid for it never learns to end.
    """
    if verdict.score is None or rollout.finish_reason != CUT_OFF or not rollout.question.options.get("must_finish"):
        return verdict
    why = f"cut off after {rollout.sampling.max_new_tokens} tokens; else: {verdict.why}"
    return replace(verdict, score=0.0, status=Status.WRONG, why=why)


def checked(verdict: Verdict) -> Verdict:
    """The verdict, or infra_error where its score is no score: outside [0, 1], NaN, or at odds with its status."""
    score, failed = verdict.score, verdict.status is Status.INFRA_ERROR
    if failed and score is None:
        return verdict
    if not failed and score is not None and math.isfinite(score) and 0 <= score <= 1:
        return verdict
    why = f"{verdict.scorer} gave score {score!r} with status {verdict.status}: {verdict.why}"
    return replace(verdict, score=None, status=Status.INFRA_ERROR, why=why)
