"""The time that a run has trained, over rounds, restarts and stops."""

from sqlalchemy import Engine

from infra.settings.load import with_changes
from infra.settings.tree import Settings
from trainer.curriculum import runs
from trainer.curriculum.runs import Phase
from trainer.curriculum.train_clock import TrainClock


def test_time_counts_in_rounds_alone(engine: Engine) -> None:
    now = [1000.0]
    with engine.begin() as connection:
        runs.insert_run(connection, with_changes(Settings(), run={"id": "clock"}), Phase.TRAIN)
        clock = TrainClock("clock", lambda: now[0])
        assert clock.seconds(connection) == 0
        for _ in range(100):
            now[0] += 0.25
            last = clock.seconds(connection)
        assert last == 25
        now[0] += 0.5
        clock.seconds(connection)  # killed before it stores this half second
        now[0] += 3600
        clock = TrainClock("clock", lambda: now[0])
        assert clock.seconds(connection) == 25
        now[0] += 3600  # stopped, or it waited for a broker that was away
        assert clock.seconds(connection) == 25 + 60
