"""Has second scorers judge what was scored: all held-out responses, and a sample of the groups that are trained on.

Invariant: a second verdict is no reward. It goes to the topic of new scores of its scorer and then to Postgres, as
those of `rewardstream rescore` do, so neither the learner nor the statistics of prompts see it. A response that is read
again, after a crash, changes nothing.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from infra.metrics import metrics
from infra.settings.crosscheck import THIS_JUDGE, CrossCheckSettings
from streams.codec import encode
from streams.dead_letters import letters_on
from streams.messages import Purpose, Route, ScoredTrajectory
from streams.records import Output, Record
from streams.route_headers import SHADOW_HEADER, in_share
from workers.scoring.crosscheck.group_spread import GroupSpread
from workers.scoring.rescore.run import decode_scored
from workers.scoring.scoring_handler import ScoringHandler

_SALT = b"crosscheck:"
"""The sample is another one than that of `router.shadow_share`."""


@dataclass(frozen=True, kw_only=True)
class CrossCheckHandler:
    settings: CrossCheckSettings
    scorers: Mapping[str, ScoringHandler]
    """Name in `crosscheck.scorers` -> scorer."""
    write: Callable[[Sequence[Output]], object]
    """Blocks until the verdicts are in the log and in Postgres."""
    spread: GroupSpread
    clock: Callable[[], float] = field(default=time.time)

    async def handle(self, records: list[Record]) -> list[Output]:
        """Returns the dead letters, on the records as they were read; the verdicts are written by `write`.

        Raises DeliveryError, sqlalchemy.exc.OperationalError; the batch is then read again.
        """
        batches: dict[str, list[Record]] = defaultdict(list)
        letters: list[Output] = []
        for record in records:
            scored = decode_scored(record)
            if scored is None or scored.score is None or scored.details.get(SHADOW_HEADER):
                continue
            name = self._second_scorer_of(scored)
            if name is not None:
                batches[name].append(_record_of_rollout(record, scored))
        for name, batch in batches.items():
            scorer = self.scorers[name]
            outputs = await scorer.handle(batch)
            letters += [output for output in outputs if output.topic == scorer.dead_letters]
            await asyncio.to_thread(self.write, [output for output in outputs if output.topic != scorer.dead_letters])
        return letters_on(records, letters)

    def _second_scorer_of(self, scored: ScoredTrajectory) -> str | None:
        """Returns the name of the scorer that shall judge the response too; measures the spread of its group."""
        rollout = scored.rollout
        if rollout.purpose is Purpose.TRAIN:
            if not in_share(_SALT + rollout.group_id.encode(), self.settings.share):
                return None
            distance = self.spread.add(rollout)
            if distance is not None:
                metrics.edit_distance.labels(scored.route, rollout.domain).observe(distance)
        elif rollout.purpose is not Purpose.EVAL:
            return None
        name = self.settings.scorer_of(rollout.domain, scored.route)
        if name is None or (name == THIS_JUDGE and scored.route is Route.GENRM):
            return None
        if self.scorers[name].scorer.why_unscorable(rollout) is not None:
            metrics.crosscheck_passed_over_total.labels("unscorable").inc()
            return None
        if rollout.purpose is Purpose.TRAIN and self.clock() - scored.scored_at > self.settings.max_age_seconds:
            metrics.crosscheck_passed_over_total.labels("old").inc()
            return None
        return name


def _record_of_rollout(record: Record, scored: ScoredTrajectory) -> Record:
    """Returns the record that a scorer reads."""
    return Record(record.topic, record.partition, record.offset, record.timestamp, record.key, encode(scored.rollout))
