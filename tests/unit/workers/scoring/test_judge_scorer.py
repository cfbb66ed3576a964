import asyncio
import threading
from collections.abc import Sequence

import msgspec
import pytest
from support.examples import ROLLOUT
from support.metrics import MetricChange, metric_value

from infra.metrics import metrics
from infra.settings.genrm import GenRMSettings
from streams.messages import Question, Rollout, Status
from workers.judges.base import JudgeFailure, Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.canary import canary_requests
from workers.judges.judging_scheme import FLIPS, ORDERS
from workers.scoring.retrying import Outage
from workers.scoring.scorers import JudgeScorer


class LengthJudge:
    """Longer answers are better; it is down, wholly or for one request, where the question says so."""

    name, version = "length", "3"
    needs_reference = True

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
        self.calls.append([request.response for request in requests])
        if any(request.question.prompt == "down" for request in requests):
            raise JudgeUnavailableError("endpoint down", retry_after=7.0)
        return [self._one(request) for request in requests]

    @staticmethod
    def _one(request: JudgeRequest) -> Judgement | JudgeFailure:
        if request.question.prompt == "refused":
            return JudgeFailure("too long")
        if request.question.prompt == "busy":
            return JudgeFailure("HTTP 429", outage=True, retry_after=2.0)
        return Judgement(min(1.0, len(request.response) / 10), 0.75, "its length", {"votes": 1})

    def prefix_hit_rate(self) -> float | None:
        return None

    def close(self) -> None:
        pass


def asked(text: str, prompt: str = "p") -> Rollout:
    return msgspec.structs.replace(ROLLOUT, text=text, question=Question(prompt=prompt, ground_truth="gold"))


def scorer(judge: LengthJudge, **settings: object) -> JudgeScorer:
    return JudgeScorer(judge, GenRMSettings(**{"canary_every": 0} | settings), canary_requests)


def test_a_batch_is_one_call_and_answers_keep_their_order() -> None:
    judge = LengthJudge()
    verdicts = asyncio.run(scorer(judge).score([asked("a"), asked("abcde"), asked("abcdefghijkl")]))
    assert [verdict.score for verdict in verdicts] == [0.1, 0.5, 1.0]
    assert {(verdict.status, verdict.scorer, verdict.version) for verdict in verdicts} == {
        (Status.JUDGED, "length", "3")
    }
    assert judge.calls == [["a", "abcde", "abcdefghijkl"]]


@pytest.mark.parametrize(("alarm", "suspicious"), [(0.5, True), (0.9, False)])
def test_off_verdict_mass_is_kept_and_marked_above_the_alarm(alarm, suspicious) -> None:
    [verdict] = asyncio.run(scorer(LengthJudge(), off_verdict_mass_alarm=alarm).score([asked("abc")]))
    assert verdict.details["uncovered"] == 0.75
    assert verdict.details.get("suspicious", False) is suspicious
    assert verdict.score == 0.3


def test_a_judge_that_is_down_is_an_outage_for_the_whole_call() -> None:
    answers = asyncio.run(scorer(LengthJudge()).score([asked("a"), asked("b", prompt="down")]))
    assert answers == [Outage(why="endpoint down", scorer="length", version="3", retry_after=7.0)] * 2


def test_a_request_that_fails_or_waits_leaves_the_others_their_answers() -> None:
    requests = [asked("a", prompt="refused"), asked("b", prompt="busy"), asked("abcde")]
    refused, busy, judged = asyncio.run(scorer(LengthJudge()).score(requests))
    assert (refused.score, refused.status, refused.why) == (None, Status.INFRA_ERROR, "too long")
    assert busy == Outage(why="HTTP 429", scorer="length", version="3", retry_after=2.0)
    assert (judged.score, judged.details["votes"]) == (0.5, 1)


@pytest.mark.parametrize(
    ("garbled", "prompts", "outage"),
    [(False, ("p", "q"), True), (False, ("p", "p"), False), (True, ("p", "p"), True)],
)
def test_nonsense_to_everything_is_an_outage_unless_the_one_question_may_be_to_blame(garbled, prompts, outage) -> None:
    class Useless(LengthJudge):
        def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
            return [JudgeFailure("nonsense", garbled=garbled)] * len(requests)

    answers = asyncio.run(scorer(Useless()).score([asked("a", prompt=prompt) for prompt in prompts]))
    assert [isinstance(answer, Outage) for answer in answers] == [outage] * 2


def test_a_judge_is_exchanged_between_calls_and_closed_after_its_last() -> None:
    class Gated(LengthJudge):
        """Answers when it is let go; closing it before would show."""

        version = "4"

        def __init__(self) -> None:
            super().__init__()
            self.go, self.asked, self.closed = threading.Event(), threading.Event(), False

        def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
            self.asked.set()
            assert self.go.wait(60)
            assert not self.closed
            return super().judge(requests)

        def close(self) -> None:
            self.closed = True

    async def run() -> list[str]:
        old = Gated()
        under_test = scorer(old)
        first = asyncio.create_task(under_test.score([asked("a")]))
        await asyncio.to_thread(old.asked.wait, 60)
        exchange = asyncio.create_task(under_test.exchange(LengthJudge(), GenRMSettings(canary_every=0)))
        second = asyncio.create_task(under_test.score([asked("b")]))
        old.go.set()
        await exchange
        assert old.closed
        return [verdict.version for verdicts in (await first, await second) for verdict in verdicts]

    assert asyncio.run(run()) == ["4", "3"]


def test_canaries_are_judged_after_every_nth_batch_and_counted(metric_change: MetricChange) -> None:
    judge = LengthJudge()
    under_test = scorer(judge, canary_every=2)
    for _ in range(4):
        asyncio.run(under_test.score([asked("abc")]))
    sample = JudgeRequest(asked("abc").question, "abc")
    expected = [request.response for request in canary_requests(sample)]
    assert [call for call in judge.calls if call != ["abc"]] == [expected, expected]
    assert metric_change("canaries_total") == 2 * len(expected)
    assert metric_change("canary_false_positives_total") == 2 * sum(len(text) > 5 for text in expected)


def test_a_judge_that_canaries_fool_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    def canaries(sample: JudgeRequest) -> list[JudgeRequest]:
        return [JudgeRequest(sample.question, text) for text in ["x"] * 49 + ["long enough"]]

    under_test = JudgeScorer(LengthJudge(), GenRMSettings(canary_every=1), canaries)
    asyncio.run(under_test.score([asked("abc")]))
    assert metric_value("canary_alarm") == 0  # fifty are too few to tell
    asyncio.run(under_test.score([asked("abc")]))
    assert metric_value("canary_alarm") == 1
    assert metric_value("canary_false_positive_share") == pytest.approx(0.02)
    assert "2.0 % of the latest canaries" in caplog.text


def test_pairs_and_their_flips_are_counted(metric_change: MetricChange) -> None:
    class Flipping(LengthJudge):
        def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement | JudgeFailure]:
            return [Judgement(0.5, 0.0, "", {ORDERS: [[0.9, 0.9], [0.9, 0.1]], FLIPS: 1})] * len(requests)

    [verdict] = asyncio.run(scorer(Flipping()).score([asked("abc")]))
    assert metric_change("judge_pairs_total") == 2
    assert metric_change("judge_order_flips_total") == 1
    assert verdict.details[ORDERS] == [[0.9, 0.9], [0.9, 0.1]]


def test_the_cache_is_looked_at_now_and_then() -> None:
    class Cached(LengthJudge):
        def prefix_hit_rate(self) -> float | None:
            return 0.75

    under_test = scorer(Cached())
    metrics.judge_prefix_hit_rate.set(0)
    for _ in range(32):
        asyncio.run(under_test.score([asked("abc")]))
    assert metric_value("judge_prefix_hit_rate") == 0.75


def test_a_question_without_anything_to_judge_against_is_unfit() -> None:
    bare = msgspec.structs.replace(ROLLOUT, question=Question(prompt="Why?"))
    assert "neither" in (scorer(LengthJudge()).why_unscorable(bare) or "")
    for question in (Question(prompt="?", ground_truth=""), Question(prompt="?", references=("so",))):
        assert scorer(LengthJudge()).why_unscorable(msgspec.structs.replace(ROLLOUT, question=question)) is None


def test_a_judge_that_needs_no_reference_takes_every_question() -> None:
    class Alone(LengthJudge):
        needs_reference = False

    bare = msgspec.structs.replace(ROLLOUT, question=Question(prompt="Why?"))
    assert scorer(Alone()).why_unscorable(bare) is None
