import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from support.examples import ROLLOUT

from streams.messages import Question, Rollout, Status
from workers.scoring.retrying import Outage
from workers.scoring.scorers import VerifierScorer
from workers.scoring.veto import VetoScorer
from workers.verifiers.base import Verdict

YES = Verdict(score=0.9, status=Status.JUDGED, why="P(YES)", scorer="judge", version="7", details={"uncovered": 0.1})
DOWN = Outage(why="refused", scorer="judge", version="7")
STATUSES = {"5": Status.CORRECT, "?": Status.UNPARSEABLE, "loop": Status.TIMEOUT, "broken": Status.INFRA_ERROR}


@dataclass
class Judge:
    answer: Verdict | Outage = YES
    seen: list[str] = field(default_factory=list)

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict | Outage]:
        self.seen += [rollout.text for rollout in rollouts]
        return [self.answer] * len(rollouts)

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return None


@dataclass
class Pool:
    asked: list[str | None] = field(default_factory=list)

    async def verify(self, question: Question, response: str) -> Verdict:
        self.asked.append(question.verifier)
        status = STATUSES.get(response, Status.WRONG)
        score = {Status.CORRECT: 1.0, Status.INFRA_ERROR: None}.get(status, 0.0)
        return Verdict(score, status, f"{response} is not 5", "math", "2")


def rollout(text: str, **question: object) -> Rollout:
    asked = Question(**{"prompt": "2 + 3?", "ground_truth": "5", "veto": "math"} | question)
    return msgspec.structs.replace(ROLLOUT, text=text, question=asked)


def score(judge: Judge, *rollouts: Rollout, share: float = 0.0, pool: Pool | None = None):
    scorer = VetoScorer(judge=judge, pool=pool or Pool(), calibrated_share=share)
    return asyncio.run(scorer.score(rollouts))


def test_a_veto_is_zero_with_its_reason_and_the_judge_never_sees_the_response() -> None:
    judge = Judge()
    right, wrong = score(judge, rollout("5"), rollout("6"))
    assert right == YES
    assert (wrong.score, wrong.status, wrong.why) == (0.0, Status.WRONG, "vetoed by math: 6 is not 5")
    assert (wrong.scorer, wrong.version, wrong.details) == ("math", "2", {"veto": "math@2"})
    assert judge.seen == ["5"]


@pytest.mark.parametrize("text", ["5", "?", "loop"])
def test_only_a_wrong_answer_vetoes(text) -> None:
    assert score(Judge(), rollout(text)) == [YES]


def test_a_verifier_that_fails_is_an_infra_error_to_be_asked_again() -> None:
    [verdict] = score(Judge(), rollout("broken"), share=1.0)
    assert (verdict.score, verdict.status, verdict.scorer) == (None, Status.INFRA_ERROR, "math")


def test_prompts_without_veto_and_shadow_copies_are_not_verified() -> None:
    pool = Pool()
    assert score(Judge(), rollout("6", veto=None), rollout("6", verifier="math"), pool=pool) == [YES, YES]
    assert pool.asked == []


def test_in_the_calibrated_share_the_judge_is_asked_and_the_veto_stands() -> None:
    [verdict] = score(Judge(), rollout("6"), share=1.0)
    assert (verdict.score, verdict.scorer, verdict.version) == (0.0, "judge", "7")
    assert verdict.details == {"uncovered": 0.1, "judged": 0.9, "veto": "math@2"}


def test_a_veto_needs_no_judge_and_an_outage_holds_only_the_others() -> None:
    vetoed, held = score(Judge(DOWN), rollout("6"), rollout("5"), share=1.0)
    assert (vetoed.score, vetoed.scorer) == (0.0, "math")
    assert held == DOWN


def test_the_shadow_of_a_judged_rollout_is_scored_by_its_vetoing_verifier() -> None:
    pool = Pool()
    scorer = VerifierScorer(pool)
    [verdict] = asyncio.run(scorer.score([rollout("5")]))
    assert (verdict.score, pool.asked) == (1.0, ["math"])
    assert scorer.why_unscorable(rollout("5")) is None
    assert "names no verifier" in (scorer.why_unscorable(rollout("5", veto=None)) or "")
