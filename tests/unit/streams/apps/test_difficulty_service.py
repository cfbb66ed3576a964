import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from support.examples import EXAMPLES

from infra.db.sink import ScoredRecord
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
