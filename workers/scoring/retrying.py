"""Asks a scorer until it has answered: retries single requests that failed, and waits through an outage.

Invariants
- Every rollout gets exactly one verdict, and only a scorer's answer becomes a score.
- A request that fails while others are answered is asked a bounded number of times, whichever way it fails. A scorer
  that has answered nothing for `attempts` rounds is also asked CONTROL, a question that any scorer can answer: if it is
  answered, each open request is asked alone, and what fails then is the request's own failure.
- A request on which the scorer raises what inputs make it raise fails alone too; the others are answered.
- While the scorer as a whole is unavailable the batch is held, so that nothing behind it is read and lag shows. A
  rollout is given up as infra_error only after its own deadline, when nobody waits for it any more.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from jinja2 import TemplateError

from infra.metrics import metrics
from streams.messages import Purpose, Question, Rollout, Sampling, Status, Timings
from workers.scoring.heartbeat import Heartbeat
from workers.verifiers.base import Verdict

log = logging.getLogger(__name__)

_INPUT_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError, TemplateError)
"""What code raises because of what it was given. A device, memory or connection that fails raises something else."""
CONTROL = Rollout(
    run_id="control",
    group_id="control:0",
    rollout_id="control:0/0",
    seq=0,
    prompt_id="control",
    domain="control",
    purpose=Purpose.EVAL,
    index=0,
    group_size=1,
    segments=(),
    spans=(),
    finish_reason="stop",
    text="The answer is 2.",
    question=Question(prompt="What is 1 + 1?", verifier="math", ground_truth="2"),
    sampling=Sampling(temperature=0.0, max_new_tokens=8),
    timings=Timings(dispatched=0.0, started=0.0, finished=0.0),
    deadline=0.0,
)
"""Tells a request that the scorer cannot answer from a scorer that answers nobody. Its verdict goes nowhere."""
_LONGEST_BACKOFF_SECONDS = 30.0
"""Longest wait until an endpoint that is back is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Takes the place of a verdict if the scorer as a whole does not answer, whatever it is asked."""

    why: str
    scorer: str
    version: str
    retry_after: float | None = None
    """Seconds for which the scorer asks not to be called; None if it did not say."""


class Scorer(Protocol):
    """The interface to a verifier pool or a judge."""

    async def score(self, rollouts: Sequence[Rollout]) -> Sequence[Verdict | Outage]:
        """Returns one answer per rollout, in order; infra_error for a request that failed alone. Raises only on its own
        defects, which end the process.
        """
        ...

    def why_unscorable(self, rollout: Rollout) -> str | None:
        """Returns why this scorer can never score the rollout; None if it can."""
        ...


@dataclass(frozen=True, kw_only=True)
class Retry:
    attempts: int
    """Attempts for a request that fails alone; a rollout past its deadline gets at least as many."""
    backoff_seconds: float
    """Wait before the second attempt, in seconds; it doubles before each later one."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def backoff(self, failures: int) -> float:
        """Returns the seconds to wait after `failures` (1 or more) consecutive failures."""
        doublings = min(failures - 1, 32)  # far beyond the cap, and within a float
        return min(self.backoff_seconds * 2.0**doublings, _LONGEST_BACKOFF_SECONDS)


@dataclass(frozen=True, kw_only=True)
class RetryingScorer:
    stage: str
    scorer: Scorer
    retry: Retry
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    clock: Callable[[], float] = field(default=time.time)

    def why_unscorable(self, rollout: Rollout) -> str | None:
        """Returns why the scorer can never score the rollout; None if it can."""
        return self.scorer.why_unscorable(rollout)

    async def verdicts(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """Returns one verdict per rollout, in order."""
        found: dict[int, Verdict] = {}
        left = dict(enumerate(rollouts))
        failures: Counter[int] = Counter()
        probes = 0
        for rounds in count(1):
            answers = await self._ask_scorer(left)
            outages = [answer for answer in answers.values() if isinstance(answer, Outage)]
            if len(outages) == len(left) and rounds >= self.retry.attempts and await self._answers_control():
                answers = await self._ask_each(left) if len(left) > 1 else answers
                answers = {index: _own_failure(answer) for index, answer in answers.items()}
                outages = []
            probes = self._note_outage(outages, probes, len(left))
            for index, answer in answers.items():
                failures[index] += not isinstance(answer, Outage)
                asked = rounds if isinstance(answer, Outage) else failures[index]
                verdict = self._settle(answer, left[index], spent=asked >= self.retry.attempts)
                if verdict is not None:
                    found[index] = verdict
            left = {index: rollout for index, rollout in left.items() if index not in found}
            if not left:
                break
            await self._back_off(probes or max(failures[index] for index in left), outages, left.values())
        return [found[index] for index in range(len(rollouts))]

    async def _ask_scorer(self, left: Mapping[int, Rollout]) -> dict[int, Verdict | Outage]:
        self.heartbeat.beat()
        try:
            answers = await self.scorer.score(list(left.values()))
        except _INPUT_ERRORS as error:
            return await self._find_culprits(left, error)
        return dict(zip(left, answers, strict=True))

    async def _ask_each(self, left: Mapping[int, Rollout]) -> dict[int, Verdict | Outage]:
        """Asks for one rollout at a time."""
        answers: dict[int, Verdict | Outage] = {}
        for index, rollout in left.items():
            answers |= await self._ask_scorer({index: rollout})
        return answers

    async def _find_culprits(self, left: Mapping[int, Rollout], error: Exception) -> dict[int, Verdict | Outage]:
        """Fails the rollout on which the scorer raised, and answers the others. Raises the error again if the scorer
        raises on CONTROL too: then the defect is the scorer's.
        """
        if len(left) > 1:
            return await self._ask_each(left)
        log.error("the scorer of stage %s raised on a request", self.stage, exc_info=error)
        try:
            await self.scorer.score([CONTROL])
        except _INPUT_ERRORS:
            raise error from None
        why = f"the scorer raised {type(error).__name__}: {error}"
        return dict.fromkeys(left, Verdict(None, Status.INFRA_ERROR, why, self.stage, "raised"))

    async def _answers_control(self) -> bool:
        """Whether the scorer answers at all."""
        self.heartbeat.beat()
        try:
            [answer] = await self.scorer.score([CONTROL])
        except _INPUT_ERRORS:
            return False
        return not isinstance(answer, Outage)

    def _settle(self, answer: Verdict | Outage, rollout: Rollout, *, spent: bool) -> Verdict | None:
        """Returns the rollout's verdict; None while it is worth asking again. `spent`: no attempts are left. Attempts
        count in an outage too, because a replayed rollout is past its deadline from the beginning.
        """
        if isinstance(answer, Outage):
            return _give_up(answer) if spent and rollout.deadline <= self.clock() else None
        verdict = require_valid_score(answer)
        return verdict if spent or verdict.status is not Status.INFRA_ERROR else None

    def _note_outage(self, outages: Sequence[Outage], probes: int, asked: int) -> int:
        """Logs the beginning and end of an outage; returns the number of its probes so far, 0 if there is no outage."""
        metrics.scorer_unavailable.labels(self.stage).set(1 if outages else 0)
        if outages:
            log.warning(
                "scorer %s unavailable, %d of %d rollouts held: %s",
                outages[0].scorer,
                len(outages),
                asked,
                outages[0].why,
            )
            return probes + 1
        if probes:
            log.warning("the scorer answers again after %d probes", probes)
        return 0

    async def _back_off(self, failures: int, outages: Sequence[Outage], left: Collection[Rollout]) -> None:
        """Waits as long as the scorer asks for, but not beyond the last deadline."""
        useful = max(rollout.deadline for rollout in left) - self.clock()
        asked_for = max((outage.retry_after or 0.0 for outage in outages), default=0.0)
        await self._sleep(max(self.retry.backoff(failures), min(asked_for, useful)))

    async def _sleep(self, seconds: float) -> None:
        self.heartbeat.beat(quiet_seconds=seconds)
        await self.retry.sleep(seconds)


def require_valid_score(verdict: Verdict) -> Verdict:
    """Returns the verdict, or infra_error if its score is invalid: outside [0, 1], NaN, or at odds with its status."""
    score, failed = verdict.score, verdict.status is Status.INFRA_ERROR
    if failed and score is None:
        return verdict
    if not failed and score is not None and math.isfinite(score) and 0 <= score <= 1:
        return verdict
    why = f"{verdict.scorer} gave score {score!r} with status {verdict.status}: {verdict.why}"
    return replace(verdict, score=None, status=Status.INFRA_ERROR, why=why)


def _own_failure(answer: Verdict | Outage) -> Verdict:
    """Returns the verdict on a request that was asked alone while the scorer answered others."""
    if not isinstance(answer, Outage):
        return answer
    why = f"the scorer answers others, and on this request: {answer.why}"
    return Verdict(None, Status.INFRA_ERROR, why, answer.scorer, answer.version)


def _give_up(outage: Outage) -> Verdict:
    why = f"unavailable until the rollout's deadline had passed: {outage.why}"
    return Verdict(None, Status.INFRA_ERROR, why, outage.scorer, outage.version)
