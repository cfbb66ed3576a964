"""Restarts: growing waits, a fresh start after a long life, an end to short ones."""

from hypothesis import given
from hypothesis import strategies as st

from infra.local.restarts import RestartPolicy, Restarts


def test_waits_double_up_to_the_longest() -> None:
    restarts = Restarts(RestartPolicy(short_lives=9))
    assert [restarts.after_death(0.1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 10, 10, 10]


def test_short_lives_in_a_row_are_given_up() -> None:
    restarts = Restarts(RestartPolicy(short_lives=3))
    assert [restarts.after_death(1) for _ in range(3)] == [0.5, 1, None]


def test_a_long_life_starts_over() -> None:
    restarts = Restarts(RestartPolicy(short_lives=3))
    lives = [1, 1, 60, 1, 60, 1]
    assert [restarts.after_death(life) for life in lives] == [0.5, 1, 0.5, 1, 0.5, 1]


@given(lives=st.lists(st.floats(0, 1000), min_size=1, max_size=40), limit=st.integers(2, 10))
def test_given_up_exactly_after_so_many_short_lives(lives: list[float], limit: int) -> None:
    restarts, row = Restarts(RestartPolicy(short_lives=limit)), 0
    for life in lives:
        wait = restarts.after_death(life)
        row = 1 if life >= 60 else row + 1
        assert (wait is None) == (row >= limit)
        assert wait is None or 0.5 <= wait <= 10
        if wait is None:
            return
