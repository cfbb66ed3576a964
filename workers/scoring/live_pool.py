"""A verifier pool whose every verdict is a sign of life of the batch that waits for it.

Invariant: a batch is not taken for one that has hung, however many of its verdicts take their whole budget.
"""

from dataclasses import dataclass

from streams.messages import Question
from workers.scoring.heartbeat import Heartbeat
from workers.scoring.veto import Pool
from workers.verifiers.base import Verdict


@dataclass(frozen=True, slots=True)
class LivePool:
    pool: Pool
    heartbeat: Heartbeat

    async def verify(self, question: Question, response: str) -> Verdict:
        verdict = await self.pool.verify(question, response)
        self.heartbeat.beat()
        return verdict
