"""An answer that was cut off is worth nothing where its prompt says so, and never hides a scorer's failure."""

import msgspec
import pytest
from support.examples import ROLLOUT

from streams.messages import Status
from workers.scoring.scoring_handler import enforce_must_finish
from workers.verifiers.base import Verdict

RIGHT = Verdict(1.0, Status.CORRECT, "fine", "math", "1")
FAILED = Verdict(None, Status.INFRA_ERROR, "down", "judge", "1")


def rollout(reason: str, **options: object):
    question = msgspec.structs.replace(ROLLOUT.question, options=options)
    return msgspec.structs.replace(ROLLOUT, finish_reason=reason, question=question)


def test_a_cut_off_answer_scores_zero_and_says_why() -> None:
    verdict = enforce_must_finish(rollout("length", must_finish=True), RIGHT)
    assert (verdict.score, verdict.status, verdict.scorer, verdict.version) == (0.0, Status.WRONG, "math", "1")
    assert "cut off after" in verdict.why
    assert "fine" in verdict.why


@pytest.mark.parametrize(("reason", "options"), [("stop", {"must_finish": True}), ("length", {}), ("stop", {})])
def test_a_verdict_stands_unless_a_response_had_to_finish_and_did_not(reason: str, options: dict[str, bool]) -> None:
    assert enforce_must_finish(rollout(reason, **options), RIGHT) is RIGHT


def test_a_failed_scorer_stays_failed() -> None:
    assert enforce_must_finish(rollout("length", must_finish=True), FAILED) is FAILED
