from hypothesis import given
from hypothesis import strategies as st

from infra.page.models.trend import NUMBERS, StepPoint, add_surviving, domains_of, point_of, thin


def point(version, reward=0.5, lineage=0):
    return point_of(
        {"version": version, "lineage": lineage, "at": float(version), "rewards": {"sums": reward}, "reward": reward,
         "seconds": {"total": 2.0}}
    )  # fmt: skip


def test_a_learner_that_began_again_replaces_what_it_makes_anew():
    steps: list[StepPoint] = []
    for version, lineage in ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1)):
        add_surviving(steps, point(version, lineage=lineage))
    assert [(step.version, step.lineage) for step in steps] == [(1, 0), (2, 1), (3, 1)]


@given(st.integers(0, 3000), st.integers(1, 700))
def test_a_curve_is_bounded_and_ends_where_the_run_is(count, most):
    steps = [point(version) for version in range(1, count + 1)]
    thinned, size = thin(steps, most)
    assert len(thinned) <= most
    assert size >= 1
    assert [step.version for step in thinned[-1:]] == [step.version for step in steps[-1:]]


def test_a_point_of_several_steps_is_their_mean():
    (mean,), size = thin([point(1, 0.0), point(2, 1.0)], 1)
    assert (mean.version, mean.rewards, mean.numbers["reward"], size) == (2, {"sums": 0.5}, 0.5, 2)
    assert mean.numbers["kl"] is None
    assert mean.numbers.keys() == set(NUMBERS)


def test_overall_is_not_a_domain():
    assert domains_of([point(1)], []) == ["sums"]
