"""The two scorers of the loop behind one interface: verifiers in killable processes, and a generative judge."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from infra.metrics import metrics
from infra.settings.genrm import GenRMSettings
from streams.messages import Rollout, Status
from streams.route_headers import judgeable
from workers.judges.base import Judge, JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.canary import CanaryWatch
from workers.judges.judging_scheme import FLIPS, ORDERS
from workers.scoring.retrying import Outage, Scorer
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import Pool

log = logging.getLogger(__name__)

CanaryMaker = Callable[[JudgeRequest], list[JudgeRequest]]
"""Makes requests that an honest judge must refuse, from a real request."""

OFF_VERDICT_DETAIL = "uncovered"
"""Key of the off-verdict mass in a verdict's details; names on the log do not change."""
_CACHE_EVERY = 32
"""Batches between two measurements of the server's prefix cache; each costs one request."""


class VerifierScorer:
    """Asks the verifier that the question names; for a shadow copy of a judged rollout, the one that may veto it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return await asyncio.gather(*[self._verify(rollout) for rollout in rollouts])

    def why_unscorable(self, rollout: Rollout) -> str | None:
        question = rollout.question
        return None if question.verifier or question.veto else "the question names no verifier"

    async def _verify(self, rollout: Rollout) -> Verdict:
        question = rollout.question
        named = msgspec.structs.replace(question, verifier=question.verifier or question.veto)
        return await self._pool.verify(named, rollout.text)


@dataclass(frozen=True, slots=True)
class VerifierOverride:
    """Asks `scorer` for the verifier `name`, whichever verifier the question names. The rollout that is published stays
    as it was read from the log.
    """

    scorer: Scorer
    name: str

    async def score(self, rollouts: Sequence[Rollout]) -> Sequence[Verdict | Outage]:
        return await self.scorer.score([self._rename_verifier(rollout) for rollout in rollouts])

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return self.scorer.why_unscorable(self._rename_verifier(rollout))

    def _rename_verifier(self, rollout: Rollout) -> Rollout:
        question = msgspec.structs.replace(rollout.question, verifier=self.name)
        return msgspec.structs.replace(rollout, question=question)


class JudgeScorer:
    """Makes one judge call per batch. After every `settings.canary_every` batches it also judges `canaries`: responses,
    such as an empty answer, that an honest judge refuses. So a judge that can be fooled shows in the metrics.

    Invariant: a verdict names the judge that gave it, also if the judge is exchanged between two calls.
    """

    def __init__(self, judge: Judge, settings: GenRMSettings, canaries: CanaryMaker) -> None:
        self._judge = judge
        self._settings = settings
        self._canaries = canaries
        self._watch = CanaryWatch(settings.canary_alarm, settings.canary_window)
        self._batches = 0
        self._call_lock = asyncio.Lock()

    async def exchange(self, judge: Judge, settings: GenRMSettings) -> None:
        """Takes effect from the next call on: the call under way ends first, then the old judge is closed."""
        async with self._call_lock:
            old, self._judge, self._settings = self._judge, judge, settings
            self._watch = CanaryWatch(settings.canary_alarm, settings.canary_window)
        old.close()

    def close(self) -> None:
        self._judge.close()

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
        requests = [JudgeRequest(rollout.question, rollout.text, rollout.domain) for rollout in rollouts]
        async with self._call_lock:
            judge, started = self._judge, time.monotonic()
            try:
                answers = await asyncio.to_thread(judge.judge, requests)
            except JudgeUnavailableError as error:
                return [_make_outage(judge, str(error), error.retry_after)] * len(requests)
            seconds = (time.monotonic() - started) / len(requests)
            self._batches += 1
            if self._settings.canary_every and self._batches % self._settings.canary_every == 0:
                await self._judge_canaries(requests[0])
            if self._batches % _CACHE_EVERY == 0:
                await self._measure_cache()
        if _is_server_defect(requests, answers):
            return [_make_outage(judge, f"it answers nothing that it is asked: {answers[0].why}", None)] * len(requests)
        return [self._to_verdict(judge, answer, seconds) for answer in answers]

    def why_unscorable(self, rollout: Rollout) -> str | None:
        if judgeable(rollout.question) or not self._judge.needs_reference:
            return None
        return "the question has neither a ground truth nor references to judge against"

    def _to_verdict(self, judge: Judge, answer: Judgement | JudgeFailure, seconds: float) -> Verdict | Outage:
        if isinstance(answer, Judgement):
            return self._to_judged_verdict(judge, answer, seconds)
        if answer.outage:
            return _make_outage(judge, answer.why, answer.retry_after)
        return Verdict(None, Status.INFRA_ERROR, answer.why, judge.name, judge.version, seconds)

    def _to_judged_verdict(self, judge: Judge, judgement: Judgement, seconds: float) -> Verdict:
        metrics.judge_off_verdict_mass.observe(judgement.off_verdict_mass)
        details = dict(judgement.details) | {OFF_VERDICT_DETAIL: judgement.off_verdict_mass}
        if judgement.off_verdict_mass > self._settings.off_verdict_mass_alarm:
            details["suspicious"] = True
            metrics.judge_suspicious_total.inc()
        metrics.judge_pairs_total.inc(len(details.get(ORDERS, ())))
        metrics.judge_order_flips_total.inc(details.get(FLIPS, 0))
        return Verdict(
            score=judgement.score,
            status=Status.JUDGED,
            why=judgement.why,
            scorer=judge.name,
            version=judge.version,
            seconds=seconds,
            details=details,
        )

    async def _judge_canaries(self, sample: JudgeRequest) -> None:
        canaries = self._canaries(sample)
        if not canaries:
            return
        try:
            answers = await asyncio.to_thread(self._judge.judge, canaries)
        except JudgeUnavailableError as error:
            log.warning("judge %s, canaries: %s", self._judge.name, error)
            return
        report = self._watch.note(answers)
        metrics.canaries_total.inc(report.judged)
        metrics.canary_false_positives_total.inc(report.fooled)
        metrics.canary_false_positive_share.set(report.rate)
        metrics.canary_alarm.set(report.alarm)
        if report.alarm:
            log.warning(
                "judge %s is being fooled: it calls %.1f %% of the latest canaries right, more than genrm.canary_alarm",
                self._judge.name,
                100 * report.rate,
            )

    async def _measure_cache(self) -> None:
        rate = await asyncio.to_thread(self._judge.prefix_hit_rate)
        if rate is not None:
            metrics.judge_prefix_hit_rate.set(rate)


def _is_server_defect(requests: Sequence[JudgeRequest], answers: Sequence[Judgement | JudgeFailure]) -> bool:
    """Whether no request was answered, because all answers were garbled or several questions got nonsense: then the
    defect is the server's and not a question's.
    """
    failures = [answer for answer in answers if isinstance(answer, JudgeFailure) and not answer.outage]
    several = len({request.question.prompt for request in requests}) > 1
    return len(failures) == len(answers) and (several or all(failure.garbled for failure in failures))


def _make_outage(judge: Judge, why: str, retry_after: float | None) -> Outage:
    return Outage(why=why, scorer=judge.name, version=judge.version, retry_after=retry_after)
