"""Rows of a rescore: beside those of the run, counted by nothing that stands on the run's own."""

from dataclasses import replace

from sqlalchemy import Engine, select
from support.score_rows import record

from infra.db.models import PromptStats, Score, StreamOffset
from infra.db.rescores import RESCORED, write_rescored
from infra.db.sink import ScoreSink
from infra.db.statistics import Running


def test_written_twice_is_once_and_neither_statistics_nor_offsets_move(engine: Engine) -> None:
    first = record(0, 1.0, offset=4)
    ScoreSink(engine, 0.9, "difficulty").write([first])
    again = [replace(first, score=0.0, scorer_version=version, offset=99) for version in ("1", "2")]
    assert [write_rescored(engine, again), write_rescored(engine, [*again, *again]), write_rescored(engine, [])] == [
        *(2, 0, 0)
    ]
    with engine.connect() as connection:
        rows = connection.execute(select(Score.route, Score.scorer_version, Score.score).order_by(Score.route))
        assert {tuple(row) for row in rows} == {("rtv", "1", 1.0), (RESCORED, "1", 0.0), (RESCORED, "2", 0.0)}
        names = (PromptStats.route, PromptStats.count, PromptStats.mean)
        expected = Running().add(1.0, 0, 0.9)
        assert connection.execute(select(*names)).all() == [("rtv", expected.count, expected.mean)]
        assert connection.scalars(select(StreamOffset.next_offset)).all() == [5]
