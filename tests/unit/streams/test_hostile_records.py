"""Whatever a record contains, the stages set it aside and treat the others as if it were not there."""

import asyncio
import json
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_messages import good_record, hostile_records
from support.messages import announced, closed, rollout, started, ticket, verdict

from infra.advice.letters import letter_content, letter_fields
from infra.db.sink import ScoredRecord, score_row
from streams.apps.difficulty_sink import DifficultyHandler
from streams.apps.routing import RoutingHandler
from streams.codec import DecodeError, decode, decode_by_schema, encode
from streams.dead_letters import dead_letter, parse, put_back, within
from streams.messages import (
    GroupClosed,
    LineageStarted,
    PolicyVersion,
    PromptTicket,
    Rollout,
    Route,
    ScoredTrajectory,
    Status,
)
from streams.records import Output, Record
from streams.topics import Topic
from streams.validate import decode_rollout, decode_scored, decode_ticket
from workers.scoring.retrying import Retry, RetryingScorer
from workers.scoring.scorers import VerifierScorer
from workers.scoring.scoring_handler import ScoringHandler
from workers.verifiers.base import Verdict

DEAD = "dead-letters"
ROLLOUT, SCORED = rollout(0, 0), verdict(rollout(0, 0), 1.0)
MESSAGES = [ticket(0), ROLLOUT, SCORED, closed(0, 0), started(1, 0), announced(1)]
LARGEST = 100_000


def hostile(message, topic: str) -> st.SearchStrategy[list[Record]]:
    return st.lists(hostile_records(message, topic, MESSAGES), min_size=1, max_size=4)


def mixed(bad: Sequence[Record], good: Sequence[Record]) -> list[Record]:
    """The good ones between the bad ones."""
    return [record for pair in zip(bad, good, strict=False) for record in pair] + [*bad[len(good) :], *good[len(bad) :]]


def as_record(output: Output, offset: int = 0) -> Record:
    return Record(output.topic, 0, offset, 0.0, output.key, output.value, output.headers)


@given(hostile(ROLLOUT, "rollouts"))
@settings(max_examples=150)
def test_the_router_routes_the_good_and_sets_aside_what_names_no_route(bad) -> None:
    routing = RoutingHandler(
        stage="router",
        topics={Route.RTV: "rtv.requests", Route.GENRM: "genrm.requests"},
        dead_letters=DEAD,
        shadow_share=1.0,
        largest=LARGEST,
    )
    good = [good_record(rollout(7, index), "rollouts", index) for index in range(2)]
    outputs = asyncio.run(routing.handle(mixed(bad, good)))
    routed = [output for output in outputs if output.topic == "rtv.requests"]
    assert {output.value for output in routed} >= {record.value for record in good}
    assert all(output.topic == DEAD or output.value in {r.value for r in [*bad, *good]} for output in outputs)
    assert len(outputs) >= len(bad) + len(good)


class _Pool:
    """Verifies at once."""

    async def verify(self, question, response) -> Verdict:
        return Verdict(1.0, Status.CORRECT, "", "math", "1")


def scoring() -> ScoringHandler:
    retrying = RetryingScorer(stage="rtv", scorer=VerifierScorer(_Pool()), retry=Retry(attempts=1, backoff_seconds=0.0))
    return ScoringHandler(
        stage="rtv", route=Route.RTV, scorer=retrying, scored="scored", dead_letters=DEAD, largest=LARGEST
    )


@given(hostile(ROLLOUT, "rtv.requests"))
@settings(max_examples=200)
def test_a_scorer_answers_the_good_and_each_bad_rollout_leaves_as_one_record(bad) -> None:
    good = [good_record(rollout(7, index), "rtv.requests", index) for index in range(2)]
    outputs = asyncio.run(scoring().handle(mixed(bad, good)))
    assert len(outputs) == len(bad) + len(good)
    scored = [decode_scored(as_record(output)) for output in outputs if output.topic == "scored"]
    assert {each.rollout.rollout_id for each in scored} >= {"run:7/0", "run:7/1"}


class _Rows:
    """Takes rows as the database does."""

    def __init__(self) -> None:
        self.rows: list[ScoredRecord] = []

    def write(self, records: Sequence[ScoredRecord]) -> int:
        for record in records:
            json.dumps(score_row(record), default=str, allow_nan=False)
            assert 0 <= record.policy_version < 2**31
        self.rows += records
        return len(records)


@given(hostile(SCORED, "scored"))
@settings(max_examples=200)
def test_the_difficulty_stage_writes_the_good_and_sets_aside_what_is_no_row(bad) -> None:
    sink = _Rows()
    good = [good_record(verdict(rollout(7, index), 1.0), "scored", index) for index in range(2)]
    outputs = asyncio.run(DifficultyHandler(stage="difficulty", sink=sink, dead_letters=DEAD).handle(mixed(bad, good)))
    assert len(outputs) + len(sink.rows) == len(bad) + len(good)
    assert {row.rollout_id for row in sink.rows} >= {"run:7/0", "run:7/1"}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@given(data=st.data())
@settings(max_examples=50)
def test_every_record_can_be_set_aside_listed_shown_and_put_back(message, data) -> None:
    record = data.draw(hostile_records(message, "scored", MESSAGES))
    for attempt in (1, 2):
        output = within(dead_letter(record, DecodeError("why \ud800" * 1000), "stage", DEAD), LARGEST)
        letter = parse(as_record(output))
        json.dumps([letter_fields(letter), letter_content(letter)])
        assert letter.attempts >= attempt
        assert (letter.record.key, letter.record.value) == (record.key, record.value)
        back = put_back(letter)
        assert (back.topic, back.key, back.value) == ("scored", record.key, record.value)
        record = as_record(back)


@given(st.lists(hostile_records(SCORED, "dead-letters", MESSAGES), min_size=1, max_size=3))
def test_what_is_no_dead_letter_can_be_listed_in_their_topic(bad) -> None:
    for record in bad:
        json.dumps([letter_fields(parse(record)), letter_content(parse(record))])


@given(data=st.data())
@settings(max_examples=150)
def test_what_passes_the_checks_is_within_every_bound(data) -> None:
    """The bounds that consumers rely on, whatever was drawn."""
    record = data.draw(hostile_records(SCORED, "scored", MESSAGES))
    try:
        scored = decode_scored(record)
    except DecodeError:
        return
    made = scored.rollout
    assert (scored.score is None) == (scored.status is Status.INFRA_ERROR)
    assert scored.score is None or 0 <= scored.score <= 1
    assert 0 <= made.index < made.group_size <= 2**16
    assert (made.group_id, made.rollout_id) == (f"{made.run_id}:{made.seq}", f"{made.group_id}/{made.index}")
    assert all(0 <= number < 2**31 for span in made.spans for number in (span.lineage, span.version, span.tokens))
    assert decode(encode(scored), ScoredTrajectory) is not None


@pytest.mark.parametrize(
    "kind", [PromptTicket, Rollout, ScoredTrajectory, GroupClosed, LineageStarted, PolicyVersion], ids=str
)
@given(data=st.data())
@settings(max_examples=100)
def test_decoding_raises_one_error(kind, data) -> None:
    message = next(message for message in MESSAGES if isinstance(message, kind))
    record = data.draw(hostile_records(message, "any", MESSAGES))
    for read in (decode_ticket, decode_rollout, decode_scored, lambda r: decode_by_schema(r.value, r.headers)):
        try:
            assert isinstance(read(record), msgspec.Struct)
        except DecodeError:
            continue


def test_a_verdict_that_fits_no_record_becomes_an_infra_error_that_does() -> None:
    text = "4" * LARGEST
    [output] = asyncio.run(scoring().handle([good_record(rollout(3, 1, text=text), "rtv.requests")]))
    scored = decode_scored(as_record(output))
    assert (scored.status, scored.score, scored.rollout.rollout_id) == (Status.INFRA_ERROR, None, "run:3/1")
    assert "broker.max_message_bytes" in scored.why
    assert output.size < 2000


def test_a_dead_letter_that_fits_no_record_says_where_the_record_is() -> None:
    record = Record("scored", 3, 99, 0.0, b"run:1", b"x" * LARGEST, (("schema", b"y"),))
    letter = parse(as_record(within(dead_letter(record, DecodeError("no"), "learner", DEAD), LARGEST)))
    assert letter.record.value is None
    with pytest.raises(ValueError, match=r"does not hold the record's 100000 bytes.*scored\[3\] at 99"):
        put_back(letter)


def test_the_router_sets_aside_what_would_not_fit_with_one_more_header() -> None:
    record = good_record(rollout(0, 0, text="4" * LARGEST), "rollouts")
    routing = RoutingHandler(
        stage="router", topics={Route.RTV: "r"}, dead_letters=DEAD, shadow_share=0.0, largest=len(record.value) + 300
    )
    [output] = asyncio.run(routing.handle([record]))
    assert output.topic == DEAD
    assert str(Topic.DEAD_LETTERS) == DEAD
