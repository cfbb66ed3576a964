import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import QUESTION, ROLLOUT

from streams.codec import decode, encode, header, headers_of
from streams.dead_letters import parse
from streams.messages import Question, Rollout, Route, ScoredTrajectory, Source, Status, VersionSpan
from streams.records import Record
from workers.scoring.retrying import Retry, RetryingScorer, require_valid_score
from workers.scoring.scorers import VerifierScorer
from workers.scoring.scoring_handler import ScoringHandler
from workers.verifiers.base import Verdict

OK = Verdict(score=1.0, status=Status.CORRECT, why="equal", scorer="math", version="1")
DOWN = Verdict(score=None, status=Status.INFRA_ERROR, why="no process", scorer="math", version="1")


@dataclass
class Scripted:
    """Answers by rollout id: its verdicts in turn, the last one from then on."""

    script: dict[str, list[Verdict]] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        self.asked.append([rollout.rollout_id for rollout in rollouts])
        return [self._next(rollout.rollout_id) for rollout in rollouts]

    def _next(self, name: str) -> Verdict:
        verdicts = self.script.get(name, [OK])
        return verdicts.pop(0) if len(verdicts) > 1 else verdicts[0]

    def why_unscorable(self, rollout: Rollout) -> str | None:
        return None if rollout.question.verifier else "the question names no verifier"


def scoring(scorer: Scripted, attempts: int = 3, waits: list[float] | None = None) -> ScoringHandler:
    async def sleep(seconds: float) -> None:
        (waits if waits is not None else []).append(seconds)

    retry = Retry(attempts=attempts, backoff_seconds=0.5, sleep=sleep)
    return ScoringHandler(
        stage="rtv",
        route=Route.RTV,
        scorer=RetryingScorer(stage="rtv", scorer=scorer, retry=retry, clock=lambda: 1010.0),
        scored="scored",
        dead_letters="dead",
        clock=lambda: 1010.0,
    )


def rollout(index: int, **changes: object) -> Rollout:
    return msgspec.structs.replace(ROLLOUT, index=index, rollout_id=f"r1:4/{index}", **changes)


def record_of(message: Rollout, offset: int = 0, *extra: tuple[str, bytes]) -> Record:
    return Record("rtv.requests", 0, offset, 1.0, b"r1:4", encode(message), (*headers_of(message, route="rtv"), *extra))


def handle(service: ScoringHandler, records: list[Record]):
    return asyncio.run(service.handle(records))


def scored(output) -> ScoredTrajectory:
    assert output.topic == "scored"
    return decode(output.value, ScoredTrajectory)


def test_a_verdict_becomes_a_self_contained_scored_trajectory() -> None:
    [output] = handle(scoring(Scripted()), [record_of(rollout(0))])
    message = scored(output)
    assert message.rollout == rollout(0)
    assert (message.score, message.status, message.route, message.scorer) == (1.0, Status.CORRECT, Route.RTV, "math")
    assert message.scored_at == 1010.0
    assert output.key == b"r1:4"
    assert header(output.headers, "schema") == "ScoredTrajectory"
    assert header(output.headers, "shadow") is None


def test_a_shadow_stays_marked() -> None:
    [output] = handle(scoring(Scripted()), [record_of(rollout(0), 0, ("shadow", b"1"))])
    assert header(output.headers, "shadow") == "1"
    assert scored(output).details["shadow"] is True


def test_only_what_failed_is_asked_again_with_growing_waits() -> None:
    scorer = Scripted({"r1:4/1": [DOWN, DOWN, OK]})
    waits: list[float] = []
    outputs = handle(scoring(scorer, attempts=4, waits=waits), [record_of(rollout(i), i) for i in range(3)])
    assert [scored(output).score for output in outputs] == [1.0, 1.0, 1.0]
    assert scorer.asked == [["r1:4/0", "r1:4/1", "r1:4/2"], ["r1:4/1"], ["r1:4/1"]]
    assert waits == [0.5, 1.0]


def test_a_scorer_that_never_answers_is_an_infra_error_without_a_score() -> None:
    scorer = Scripted({"r1:4/0": [DOWN]})
    [output] = handle(scoring(scorer, attempts=3), [record_of(rollout(0))])
    message = scored(output)
    assert (message.score, message.status) == (None, Status.INFRA_ERROR)
    assert len(scorer.asked) == 3


@given(
    score=st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1),
    status=st.sampled_from(list(Status)),
)
def test_a_score_is_in_range_or_it_is_no_score(score, status) -> None:
    verdict = require_valid_score(replace(OK, score=score, status=status))
    if verdict.status is Status.INFRA_ERROR:
        assert verdict.score is None
    else:
        assert verdict.score is not None
        assert 0 <= verdict.score <= 1
    if score is not None and 0 <= score <= 1 and status is not Status.INFRA_ERROR:
        assert (verdict.score, verdict.status) == (score, status)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.01, 1.01])
def test_a_score_out_of_range_is_retried_and_ends_as_infra_error(bad) -> None:
    scorer = Scripted({"r1:4/0": [replace(OK, score=bad)]})
    [output] = handle(scoring(scorer, attempts=2), [record_of(rollout(0))])
    assert scored(output).status is Status.INFRA_ERROR
    assert str(bad) in scored(output).why
    assert len(scorer.asked) == 2


BROKEN = {
    "not a Rollout": b"\x00",
    "spans cover 2 of 3": encode(rollout(0, spans=(VersionSpan(lineage=0, version=0, tokens=2),))),
    "log-probabilities instead of 8": encode(
        rollout(0, segments=tuple(msgspec.structs.replace(s, logprobs=b"") for s in ROLLOUT.segments))
    ),
    "not int32": encode(
        rollout(0, segments=(msgspec.structs.replace(ROLLOUT.segments[0], token_ids=b"abc"), *ROLLOUT.segments[1:]))
    ),
    "instead of 0": encode(
        rollout(0, segments=(msgspec.structs.replace(ROLLOUT.segments[1], source=Source.PROMPT),), spans=())
    ),
    "names no verifier": encode(rollout(0, question=Question(prompt="Why?"))),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_cannot_be_scored_is_a_dead_letter_and_the_rest_of_the_batch_is_scored(reason) -> None:
    broken = replace(record_of(rollout(0), 5), value=BROKEN[reason])
    scorer = Scripted()
    outputs = handle(scoring(scorer), [record_of(rollout(1)), broken, record_of(rollout(2))])
    assert sorted(output.topic for output in outputs) == ["dead", "scored", "scored"]
    [letter] = [output for output in outputs if output.topic == "dead"]
    parsed = parse(Record("dead", 0, 0, 0.0, letter.key, letter.value, letter.headers))
    assert letter.value == broken.value
    assert reason in parsed.reason
    assert (parsed.error_class, parsed.offset) == ("DecodeError", 5)
    assert scorer.asked == [["r1:4/1", "r1:4/2"]]


def test_a_scorers_own_defect_is_not_hidden() -> None:
    class Defective(Scripted):
        async def score(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handle(scoring(Defective()), [record_of(rollout(0))])


def test_the_verdicts_of_a_batch_are_asked_for_together() -> None:
    class Meeting:
        """Answers nobody before everybody has asked."""

        def __init__(self, parties: int) -> None:
            self.barrier = asyncio.Barrier(parties)

        async def verify(self, question: Question, response: str) -> Verdict:
            await self.barrier.wait()
            return replace(OK, why=response)

    async def ask() -> list[Verdict]:
        rollouts = [rollout(index, text=f"answer {index}", question=QUESTION) for index in range(4)]
        return await VerifierScorer(Meeting(4)).score(rollouts)

    assert [verdict.why for verdict in asyncio.run(ask())] == [f"answer {index}" for index in range(4)]
