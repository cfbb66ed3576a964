"""Which responses get a second verdict, from whom, and what is never touched."""

import asyncio
from collections.abc import Sequence

import pytest
from support.messages import rollout, verdict

from infra.metrics import metrics
from infra.settings.crosscheck import CrossCheckSettings
from streams.codec import decode, encode, header
from streams.dead_letters import reason_of
from streams.messages import Purpose, Question, Rollout, Route, ScoredTrajectory, Status
from streams.records import Output, Record
from streams.route_headers import SHADOW_HEADER
from workers.scoring.crosscheck.group_spread import GroupSpread
from workers.scoring.crosscheck.handler import CrossCheckHandler
from workers.scoring.retrying import Retry, RetryingScorer
from workers.scoring.scoring_handler import ScoringHandler
from workers.verifiers.base import Verdict

NOW = 1000.0


class Refusing:
    """A scorer that passes nothing, and cannot score a question without ground truth."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(0.0, Status.WRONG, "no", self.name, "2") for _ in rollouts]

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return None if rollout.question.ground_truth else "no ground truth"


def checked(*scored: ScoredTrajectory, **crosscheck) -> list[tuple[str, str]]:
    """(scorer, rollout id) of each second verdict."""
    settings = CrossCheckSettings.model_validate({"scorers": {"rtv": "genrm", "genrm": "math"}} | crosscheck)
    written: list[Output] = []
    handler = CrossCheckHandler(
        settings=settings,
        scorers={
            name: ScoringHandler(
                stage="crosscheck",
                route=Route.RTV,
                scorer=RetryingScorer(
                    stage="crosscheck", scorer=Refusing(name), retry=Retry(attempts=1, backoff_seconds=0.1)
                ),
                scored=f"scored.{name}",
                dead_letters="dead",
                rewards=False,
            )
            for name in set(settings.scorers.values())
        },
        write=written.extend,
        spread=GroupSpread(5, 99),
        clock=lambda: NOW,
    )
    records = [
        Record("scored", 0, number, 0.0, one.rollout.group_id.encode(), encode(one))
        for number, one in enumerate(scored)
    ]
    assert asyncio.run(handler.handle([*records, Record("scored", 0, 99, 0.0, b"k", b"no message")])) == []
    found = [decode(output.value, ScoredTrajectory) for output in written]
    assert all(output.topic == f"scored.{one.scorer}" for output, one in zip(written, found, strict=True))
    return [(one.scorer, one.rollout.rollout_id) for one in found]


def judged(seq: int, purpose: Purpose = Purpose.EVAL, **changes) -> ScoredTrajectory:
    question = changes.pop("question", Question(prompt="?", ground_truth="5"))
    of = rollout(seq, 0, purpose=purpose, question=question, domain=changes.pop("domain", "knowledge"))
    return verdict(of, changes.pop("score", 0.9), **{"route": Route.GENRM, "scored_at": NOW} | changes)


def test_each_route_has_its_second_scorer_and_a_domain_may_have_another() -> None:
    verified = verdict(rollout(1, 0, purpose=Purpose.EVAL), 1.0, scored_at=NOW)
    rows = (verified, judged(2), judged(3, domain="writing"))
    assert checked(*rows, scorers={"rtv": "genrm", "genrm": "math", "writing": "sentence"}) == [
        ("genrm", "run:1/0"),
        ("math", "run:2/0"),
        ("sentence", "run:3/0"),
    ]
    assert checked(*rows, scorers={"genrm": "math"}) == [("math", "run:2/0"), ("math", "run:3/0")]
    assert checked(*rows, scorers={}) == []


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_held_out_responses_are_all_checked_and_training_groups_by_share(share: float) -> None:
    training = [judged(seq, Purpose.TRAIN) for seq in range(200)]
    held_out = [judged(seq) for seq in range(200, 210)]
    assessed = [judged(seq, Purpose.ASSESS) for seq in range(210, 220)]
    found = checked(*training, *held_out, *assessed, share=share)
    assert found[-10:] == [("math", f"run:{seq}/0") for seq in range(200, 210)]
    assert abs(len(found) - 10 - 200 * share) <= 30 * (0 < share < 1)
    assert found == checked(*training, *held_out, share=share)


def test_a_whole_group_is_in_the_sample_or_out_of_it() -> None:
    rows = [verdict(rollout(seq, index, group_size=4), 1.0, scored_at=NOW) for seq in range(40) for index in range(4)]
    found = [name.partition("/")[0] for _, name in checked(*rows, share=0.5)]
    assert found
    assert all(found.count(group) == 4 for group in found)


def test_what_is_no_reward_or_has_no_verdict_is_not_checked() -> None:
    shadow = judged(1, details={SHADOW_HEADER: True})
    assert checked(shadow, judged(2, score=None)) == []


def test_the_judge_is_not_asked_about_its_own_verdicts() -> None:
    assert checked(judged(1), scorers={"knowledge": "genrm"}) == []


def test_what_is_passed_over_is_counted() -> None:
    counters = [metrics.crosscheck_passed_over_total.labels(reason) for reason in ("unscorable", "old")]
    before = [counter._value.get() for counter in counters]
    unscorable = judged(1, question=Question(prompt="Write."))
    late = [judged(2, Purpose.TRAIN, scored_at=NOW - 121), judged(3, scored_at=NOW - 121)]
    assert checked(unscorable, *late, share=1.0) == [("math", "run:3/0")]  # what is held out is never too old
    assert [counter._value.get() - value for counter, value in zip(counters, before, strict=True)] == [1, 1]


def test_the_spread_of_sampled_training_groups_is_measured() -> None:
    rows = [
        verdict(rollout(7, index, group_size=2, text=text, domain="spread"), 1.0, scored_at=NOW)
        for index, text in enumerate(("aaaa", "aabb"))
    ]
    checked(*rows, share=1.0)
    histogram = metrics.edit_distance.labels("rtv", "spread")
    assert histogram._sum.get() == 0.5


class Fickle(Refusing):
    """A scorer that finds a response scorable first and unscorable when it is asked again, as after a reload."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = 0

    def why_unscorable(self, rollout: Rollout) -> str | None:
        self.asked += 1
        return None if self.asked == 1 else "no such verifier any more"


def test_a_dead_letter_is_an_output_on_the_record_as_it_was_read_and_no_verdict() -> None:
    """So the stage sends it and counts it, as those of every stage."""
    written: list[Output] = []
    scorer = RetryingScorer(stage="crosscheck", scorer=Fickle("math"), retry=Retry(attempts=1, backoff_seconds=0.1))
    handler = CrossCheckHandler(
        settings=CrossCheckSettings(scorers={"genrm": "math"}),
        scorers={
            "math": ScoringHandler(
                stage="crosscheck", route=Route.RTV, scorer=scorer, scored="scored.math", dead_letters="dead"
            )
        },
        write=written.extend,
        spread=GroupSpread(5, 99),
        clock=lambda: NOW,
    )
    record = Record("scored", 3, 17, 0.0, b"run:1", encode(judged(1)), (("mine", b"1"),))
    [letter] = asyncio.run(handler.handle([record]))
    assert written == []
    assert (letter.topic, letter.key, letter.value) == ("dead", record.key, record.value)
    assert header(letter.headers, "mine") == "1"
    assert header(letter.headers, "dead_letter.offset") == "17"
    assert reason_of(letter) == "DecodeError"
