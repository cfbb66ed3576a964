"""The two scorers of the loop behind one interface: verifiers in killable processes, and a generative judge."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from infra import metrics
from infra.settings.tree import GenRMSettings
from streams.messages import Question, Rollout, Status
from workers.judges.base import Judge, Judgement, JudgeRequest, JudgeUnavailableError
from workers.verifiers.base import Verdict

log = logging.getLogger(__name__)

CanaryMaker = Callable[[JudgeRequest], list[JudgeRequest]]
"""From a real request to requests that an honest judge must refuse."""

_PASS = 0.5
"""A judge says YES where its score is above."""


class Pool(Protocol):
    """`workers.verifiers.pool.VerifierPool`."""

    async def verify(self, question: Question, response: str) -> Verdict: ...


class VerifierScorer:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return await asyncio.gather(*[self._pool.verify(rollout.question, rollout.text) for rollout in rollouts])

    def unfit(self, rollout: Rollout) -> str | None:
        return None if rollout.question.verifier else "the question names no verifier"


class JudgeScorer:
    """One judge call a batch. `canaries` are judged too after every `settings.canary_every` batches: what an honest
    judge refuses, as an empty answer, so that a judge that can be fooled shows in the metrics.
    """

    def __init__(self, judge: Judge, settings: GenRMSettings, canaries: CanaryMaker) -> None:
        self._judge = judge
        self._settings = settings
        self._canaries = canaries
        self._batches = 0

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        requests = [JudgeRequest(rollout.question, rollout.text) for rollout in rollouts]
        started = time.monotonic()
        try:
            judgements = await asyncio.to_thread(self._judge.judge, requests)
        except JudgeUnavailableError as error:
            log.warning("judge %s: %s", self._judge.name, error)
            return [self._unavailable(str(error), time.monotonic() - started) for _ in requests]
        seconds = (time.monotonic() - started) / len(requests)
        self._batches += 1
        if self._settings.canary_every and self._batches % self._settings.canary_every == 0:
            await self._judge_canaries(requests[0])
        return [self._verdict(judgement, seconds) for judgement in judgements]

    def unfit(self, rollout: Rollout) -> str | None:
        question = rollout.question
        if question.ground_truth is None and not question.references:
            return "the question has neither a ground truth nor references to judge against"
        return None

    def _verdict(self, judgement: Judgement, seconds: float) -> Verdict:
        metrics.judge_uncovered_mass.observe(judgement.uncovered)
        details = {"uncovered": judgement.uncovered}
        if judgement.uncovered > self._settings.uncovered_mass_alarm:
            details["suspicious"] = True
        return Verdict(
            score=judgement.score,
            status=Status.JUDGED,
            why=judgement.why,
            scorer=self._judge.name,
            version=self._judge.version,
            seconds=seconds,
            details=details,
        )

    def _unavailable(self, why: str, seconds: float) -> Verdict:
        return Verdict(
            score=None,
            status=Status.INFRA_ERROR,
            why=why,
            scorer=self._judge.name,
            version=self._judge.version,
            seconds=seconds,
        )

    async def _judge_canaries(self, sample: JudgeRequest) -> None:
        canaries = self._canaries(sample)
        if not canaries:
            return
        try:
            judgements = await asyncio.to_thread(self._judge.judge, canaries)
        except JudgeUnavailableError as error:
            log.warning("judge %s, canaries: %s", self._judge.name, error)
            return
        metrics.canaries_total.inc(len(judgements))
        metrics.canary_false_positives_total.inc(sum(judgement.score > _PASS for judgement in judgements))
