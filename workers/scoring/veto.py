"""GenRM under the veto of a verifier: a response that the verifier calls wrong scores 0, whatever the judge would say.

Invariants
- A vetoed response is not shown to the judge, except in the fraction of groups that both routes score: they show how
  often the judge would have been fooled. Its score is 0 in any case.
- Only `wrong` vetoes. A verifier that finds no answer has not called the response wrong; if it fails, its infra_error
  is the rollout's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from streams.messages import ANSWER_DETAIL, JUDGED_DETAIL, Rollout, Route, Status
from streams.route_headers import in_share, route_of
from workers.scoring.retrying import Outage, Scorer
from workers.verifiers.base import Verdict
from workers.verifiers.pool.pool import Pool


@dataclass(frozen=True, kw_only=True)
class VetoScorer:
    judge: Scorer
    pool: Pool
    calibrated_share: float
    """`router.shadow_share`: fraction of groups whose responses are judged even if they are vetoed."""

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
        vetoes = await asyncio.gather(*[self._ask_for_veto(rollout) for rollout in rollouts])
        asked = [
            index
            for index, (rollout, veto) in enumerate(zip(rollouts, vetoes, strict=True))
            if veto is None or (veto.score is not None and in_share(rollout.group_id.encode(), self.calibrated_share))
        ]
        answers = await self.judge.score([rollouts[index] for index in asked]) if asked else []
        judged = dict(zip(asked, answers, strict=True))
        return [_combine(veto, judged.get(index)) for index, veto in enumerate(vetoes)]

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return self.judge.why_unscorable(rollout)

    async def _ask_for_veto(self, rollout: Rollout) -> Verdict | None:
        """Returns the verifier's verdict if it overrules the judge; None if it does not, or if no verifier was named. A
        shadow copy has a verifier of its own, and no veto.
        """
        question = rollout.question
        if question.veto is None or route_of(question) is not Route.GENRM:
            return None
        verdict = await self.pool.verify(msgspec.structs.replace(question, verifier=question.veto), rollout.text)
        return verdict if verdict.status in (Status.WRONG, Status.INFRA_ERROR) else None


def _combine(veto: Verdict | None, answer: Verdict | Outage | None) -> Verdict | Outage:
    """Returns the judge's answer, or the veto, which overrules it and needs none."""
    if veto is None:
        assert answer is not None
        return answer
    if veto.score is None:
        return veto
    if answer is None or isinstance(answer, Outage) or answer.score is None:
        return _apply_veto(veto, veto)
    return _apply_veto(veto, replace(answer, details=dict(answer.details) | {JUDGED_DETAIL: answer.score}))


def _apply_veto(veto: Verdict, verdict: Verdict) -> Verdict:
    """`verdict` names the responsible scorer: the judge if it was asked, else the verifier."""
    why = f"vetoed by {veto.scorer}: {veto.why}"
    read = {ANSWER_DETAIL: veto.details[ANSWER_DETAIL]} if ANSWER_DETAIL in veto.details else {}
    details = dict(verdict.details) | read | {"veto": f"{veto.scorer}@{veto.version}"}
    return replace(verdict, score=0.0, status=Status.WRONG, why=why, details=details)
