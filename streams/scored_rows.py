"""Converts a scored trajectory to its row in Postgres.

Invariant: the row of a record depends on that record and the settings alone, so a row written twice is the same row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infra.db.sink import ScoredRecord
from streams.arrays import TOKEN_DTYPE, unpack_logprobs
from streams.messages import ANSWER_DETAIL, JUDGED_DETAIL, Purpose, Rollout, ScoredTrajectory, Segment, Source
from streams.records import Record
from streams.route_headers import route_of


def judged_of(scored: ScoredTrajectory) -> float | None:
    """Returns the judge's score of a vetoed rollout; None if the judge was not asked, or gave something else."""
    value = scored.details.get(JUDGED_DETAIL)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def answer_of(scored: ScoredTrajectory) -> str | None:
    """Returns the answer that the verifier read in the response; None if it says of none."""
    value = scored.details.get(ANSWER_DETAIL)
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """Which rows keep their text: those of held-out responses, of a run's first groups, and of one later group in
    some.
    """

    first_groups: int
    later_one_in: int = 1

    def keeps(self, rollout: Rollout) -> bool:
        first = rollout.seq < self.first_groups
        return first or rollout.purpose is Purpose.EVAL or rollout.seq % self.later_one_in == 0


ALL_TEXTS = KeptTexts(0)


def row_of(record: Record, scored: ScoredTrajectory, texts: KeptTexts = ALL_TEXTS) -> ScoredRecord:
    """`scored`: what `streams.validate.decode_scored` returned. Raises ValueError if it can never be stored."""
    rollout = scored.rollout
    made = [segment for segment in rollout.segments if segment.source is Source.POLICY]
    return ScoredRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        rollout_id=rollout.rollout_id,
        route=str(scored.route),
        scorer=scored.scorer,
        scorer_version=scored.scorer_version,
        run_id=rollout.run_id,
        group_id=rollout.group_id,
        prompt_id=rollout.prompt_id,
        domain=rollout.domain,
        purpose=str(rollout.purpose),
        policy_version=max((span.version for span in rollout.spans), default=0),
        score=scored.score,
        status=str(scored.status),
        why=scored.why,
        text=rollout.text,
        response_tokens=sum(len(segment.token_ids) for segment in made) // TOKEN_DTYPE.itemsize,
        seconds=scored.seconds,
        scored_at=scored.scored_at,
        shadow=scored.route is not route_of(rollout.question),
        judged=judged_of(scored),
        surprisal=surprisal_of(made),
        answer=answer_of(scored),
        keeps_text=texts.keeps(rollout),
    )


def surprisal_of(segments: Sequence[Segment]) -> float | None:
    """Returns the mean of -log p over the tokens, in nats; None if the engine gave no log-probabilities, or an invalid
    one.
    """
    logprobs = [unpack_logprobs(segment.logprobs) for segment in segments if segment.logprobs]
    tokens = sum(len(values) for values in logprobs)
    mean = -sum(float(values.sum(dtype=np.float64)) for values in logprobs) / tokens if tokens else math.nan
    return mean if math.isfinite(mean) else None
