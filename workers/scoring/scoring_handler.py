"""Scores a batch of rollouts: decodes them, asks the scorer until it has answered, and makes the outputs.

Invariant: every rollout of a batch leaves as exactly one ScoredTrajectory or one dead letter. A scorer that
cannot answer yields `infra_error` with score None, after retries; it never yields a reward.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from infra.metrics import metrics
from streams.codec import DecodeError, encode, header, headers_of
from streams.dead_letters import dead_letter
from streams.messages import Question, Rollout, Route, ScoredTrajectory, Status, without_content
from streams.records import Output, Record
from streams.route_headers import SHADOW_HEADER
from streams.trace_context import trace_headers
from streams.validate import decode_rollout
from workers.scoring.retrying import RetryingScorer
from workers.scoring.verdict_event import trace_verdict
from workers.verifiers.base import Verdict

CUT_OFF = "length"
"""The finish_reason of a rollout that reached its token limit."""


@dataclass(frozen=True, kw_only=True)
class ScoringHandler:
    stage: str
    route: Route
    scorer: RetryingScorer
    scored: str
    """Topic of the scored trajectories."""
    dead_letters: str
    rewards: bool = True
    """Whether its scores are rewards; the metric of scores takes no others."""
    largest: int = sys.maxsize
    """Bytes of the largest record that the broker takes."""
    clock: Callable[[], float] = field(default=time.time)

    async def handle(self, records: list[Record]) -> list[Output]:
        outputs: list[Output] = []
        batch: list[tuple[Record, Rollout]] = []
        for record in records:
            try:
                batch.append((record, self._decode_scorable(record)))
            except DecodeError as error:
                outputs.append(dead_letter(record, error, self.stage, self.dead_letters))
        if batch:
            verdicts = await self.scorer.verdicts([rollout for _, rollout in batch])
            pairs = zip(batch, verdicts, strict=True)
            outputs += [
                self._make_output(record, rollout, enforce_must_finish(rollout, verdict))
                for (record, rollout), verdict in pairs
            ]
        return outputs

    def _decode_scorable(self, record: Record) -> Rollout:
        rollout = decode_rollout(record)
        reason = self.scorer.why_unscorable(rollout)
        if reason is not None:
            raise DecodeError(f"rollout {rollout.rollout_id}: {reason}")
        return rollout

    def _make_output(self, record: Record, rollout: Rollout, verdict: Verdict) -> Output:
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
        self._count_metrics(message, now)
        marks = {"route": str(self.route)} | ({SHADOW_HEADER: "1"} if shadow else {})
        headers = (*headers_of(message, **marks), *trace_headers(record))
        output = Output(self.scored, record.key, _encode(message), headers)
        if output.size > self.largest:
            message = _too_large(message, output.size, self.largest)
            output = Output(self.scored, record.key, encode(message), headers)
        trace_verdict(record, message)
        return output

    def _count_metrics(self, message: ScoredTrajectory, now: float) -> None:
        metrics.scorer_requests_total.labels(message.scorer, message.status).inc()
        metrics.scorer_seconds.labels(message.scorer).observe(message.seconds)
        metrics.end_to_end_seconds.labels(self.stage).observe(max(0.0, now - message.rollout.timings.dispatched))
        if message.score is not None and self.rewards:
            metrics.score.labels(self.route, message.rollout.domain).observe(message.score)


def _encode(scored: ScoredTrajectory) -> bytes:
    """Encodes a verdict, without what a scorer said in it that has no form in MessagePack."""
    try:
        return encode(scored)
    except (ValueError, TypeError, RecursionError):  # half of a surrogate pair, for example, from a judge's JSON
        why = scored.why.encode(errors="backslashreplace").decode()
        details = {SHADOW_HEADER: True} if SHADOW_HEADER in scored.details else {}
        return encode(msgspec.structs.replace(scored, why=why, details=details))


def _too_large(scored: ScoredTrajectory, size: int, largest: int) -> ScoredTrajectory:
    """Returns the verdict that says so, which carries no content, in place of a verdict that no broker takes."""
    question = Question(prompt="", verifier=scored.rollout.question.verifier)
    return msgspec.structs.replace(
        scored,
        rollout=msgspec.structs.replace(without_content(scored.rollout), question=question),
        score=None,
        status=Status.INFRA_ERROR,
        why=f"rollout and verdict have {size} bytes, more than broker.max_message_bytes ({largest})",
        details={name: True for name in (SHADOW_HEADER,) if name in scored.details},
    )


def enforce_must_finish(rollout: Rollout, verdict: Verdict) -> Verdict:
    """Returns the verdict, but score 0 if the prompt's option `must_finish` is set and the answer was cut off: half of
    a right answer is cheap, and a policy that is rewarded for it never learns to end.
    """
    if verdict.score is None or rollout.finish_reason != CUT_OFF or not rollout.question.options.get("must_finish"):
        return verdict
    why = f"cut off after {rollout.sampling.max_new_tokens} tokens; else: {verdict.why}"
    return replace(verdict, score=0.0, status=Status.WRONG, why=why)
