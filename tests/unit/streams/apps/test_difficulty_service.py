import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from sqlalchemy.exc import OperationalError
from support.examples import EXAMPLES

from infra import outages
from infra.db.sink import ScoredRecord
from streams.apps import difficulty_sink
from streams.apps.difficulty_sink import DifficultyHandler
from streams.codec import encode
from streams.dead_letters import parse
from streams.messages import ScoredTrajectory, Status
from streams.records import Record

[SCORED] = [message for message in EXAMPLES if isinstance(message, ScoredTrajectory)]


class Kept:
    def __init__(self) -> None:
        self.rows: list[ScoredRecord] = []

    def write(self, records: Sequence[ScoredRecord]) -> int:
        self.rows += records
        return len(records)


def record(value: bytes | None, offset: int = 0) -> Record:
    return Record("scored", 2, offset, 1.0, b"r1:4", value)


def handle(*records: Record):
    sink = Kept()
    outputs = asyncio.run(
        DifficultyHandler(stage="difficulty", sink=sink, dead_letters="dead", clock=lambda: 1010.0).handle(
            list(records)
        )
    )
    return sink.rows, outputs


def test_a_trajectory_becomes_a_row_with_where_it_was_read() -> None:
    [row], outputs = handle(record(encode(SCORED), 9))
    assert outputs == []
    assert (row.topic, row.partition, row.offset) == ("scored", 2, 9)
    assert (row.rollout_id, row.route, row.scorer, row.status) == ("r1:4/2", "rtv", "math", "infra_error")
    assert row.response_tokens == 3  # of the policy's two segments
    assert row.policy_version == 4  # the newest that made a token
    assert row.score is None


@pytest.mark.parametrize(
    "value",
    [
        b"?",
        None,
        encode(msgspec.structs.replace(SCORED, score=1.5, status=Status.CORRECT)),
        encode(msgspec.structs.replace(SCORED, score=float("nan"), status=Status.CORRECT)),
        encode(msgspec.structs.replace(SCORED, scorer="x" * 65)),
        encode(msgspec.structs.replace(SCORED, rollout=msgspec.structs.replace(SCORED.rollout, spans=()))),
    ],
)
def test_what_can_never_be_stored_is_a_dead_letter_and_the_rest_is_written(value) -> None:
    rows, [output] = handle(record(value, 5), record(encode(SCORED), 6))
    assert [row.offset for row in rows] == [6]
    assert output.value == value
    assert parse(Record("dead", 0, 0, 0.0, output.key, output.value, output.headers)).offset == 5


class Away(Kept):
    """A database that is away for some attempts."""

    def __init__(self, attempts: int) -> None:
        super().__init__()
        self.attempts = attempts

    def write(self, records: Sequence[ScoredRecord]) -> int:
        self.attempts -= 1
        if self.attempts >= 0:
            raise OperationalError("INSERT", {}, Exception("server closed the connection"))
        return super().write(records)


def test_rows_are_held_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difficulty_sink, "RETRY_SECONDS", 0.001)
    sink = Away(attempts=20)
    handler = DifficultyHandler(stage="difficulty", sink=sink, dead_letters="dead", outage_seconds=1000.0)
    assert asyncio.run(handler.handle([record(encode(SCORED))])) == []
    assert len(sink.rows) == 1


def test_a_database_that_stays_away_ends_the_stage_with_the_code_of_an_outage() -> None:
    handler = DifficultyHandler(stage="difficulty", sink=Away(attempts=2), dead_letters="dead", outage_seconds=0.0)
    with pytest.raises(OperationalError) as caught:
        asyncio.run(handler.handle([record(encode(SCORED))]))
    assert outages.is_outage(caught.value)
