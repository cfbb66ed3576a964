import pytest
from support.metrics import metric_value

from streams.lag import LagWatchdog, StalledError, lag_of, publish_lag
from streams.records import TopicPartition

P = TopicPartition("t", 0)


@pytest.fixture
def watchdog() -> LagWatchdog:
    return LagWatchdog(patience_seconds=10)


def test_lag_that_waits_while_commits_stand_still_is_a_stall(watchdog: LagWatchdog) -> None:
    watchdog.observe(0, {P: 5}, 3, busy=False)
    watchdog.observe(10, {P: 5}, 4, busy=False)
    with pytest.raises(StalledError, match=r"4 records wait .* 11 s.*t\[0\]@5"):
        watchdog.observe(11, {P: 5}, 4, busy=False)


def test_a_held_batch_is_no_stall_but_standing_still_after_it_is(watchdog: LagWatchdog) -> None:
    watchdog.observe(0, {P: 5}, 3, busy=False)
    watchdog.observe(600, {P: 5}, 3, busy=True)
    watchdog.observe(610, {P: 5}, 3, busy=False)
    with pytest.raises(StalledError):
        watchdog.observe(611, {P: 5}, 3, busy=False)


@pytest.mark.parametrize(("positions", "lag"), [({P: 6}, 900), ({P: 5}, 0), ({}, 3)])
def test_progress_no_lag_and_a_rebalance_begin_the_count_again(watchdog: LagWatchdog, positions, lag) -> None:
    watchdog.observe(0, {P: 5}, 3, busy=False)
    watchdog.observe(9, positions, lag, busy=False)
    watchdog.observe(19, positions, lag, busy=False)
    watchdog.observe(19.5, {P: 5}, 0, busy=False)  # no StalledError


def test_a_stage_that_is_never_assigned_anything_is_left_alone(watchdog: LagWatchdog) -> None:
    for now in range(0, 1000, 5):
        watchdog.observe(now, {}, 0, busy=False)  # no StalledError


def test_lag_is_never_negative_where_the_end_is_not_known_yet() -> None:
    assert lag_of({P: 5, TopicPartition("t", 1): 2}, {P: 3}) == {P: 0, TopicPartition("t", 1): 0}


def test_lag_is_published_by_topic() -> None:
    publish_lag("stage-x", {P: 2, TopicPartition("t", 1): 3}, None)
    assert metric_value("consumer_lag_messages", stage="stage-x", topic="t") == 5
    assert metric_value("consumer_lag_seconds", stage="stage-x") == 0
