from hypothesis import given
from hypothesis import strategies as st

from infra.page.models.selection import GroupTally, meaning_of, rule_of, share_trend, shares_of
from infra.settings.tree import Settings
from trainer.curriculum.decisions import Reason
from trainer.curriculum.selection_plan import SelectionPlan

tallies = st.lists(
    st.builds(
        GroupTally,
        domain=st.sampled_from(["sums", "words", "code"]),
        dispatched_version=st.integers(0, 30),
        trained_version=st.none() | st.integers(1, 40),
        groups=st.integers(1, 9),
    ),
    max_size=30,
)


@given(tallies)
def test_shares_sum_to_one_and_a_group_counts_once(some):
    lines = shares_of(some, {"sums": 3.0})
    assert sum(line.dispatched_groups for line in lines) == sum(tally.groups for tally in some)
    if lines:
        assert abs(sum(line.asked for line in lines) - 1) < 1e-9
        assert abs(sum(line.dispatched for line in lines) - 1) < 1e-9


@given(tallies, st.integers(1, 10))
def test_the_curve_of_shares_is_bounded_and_ends_at_the_newest_version(some, most):
    points = share_trend(some, {}, most)
    versions = {point.version for point in points}
    trained = [tally.trained_version for tally in some if tally.trained_version is not None]
    assert len(versions) <= most
    assert max(versions, default=None) == max(trained, default=None)
    for version in versions:
        assert abs(sum(point.trained for point in points if point.version == version) - 1) < 1e-9


def test_a_round_says_its_rule_from_what_it_stored():
    stored = SelectionPlan.of(Settings(), 0, 0).as_json()
    rule, keep_share = rule_of(stored)
    assert (rule, keep_share) == (Settings().selector.preppo.rule, Settings().selector.preppo.keep_share)
    mixed = stored["preppo"] | {"mixture": {"lowest": 1.0, "uniform": 3.0}, "rule_by_domain": {"code": "skip"}}
    assert rule_of({"preppo": mixed})[0] == "25% lowest + 75% uniform; skip in code"
    assert rule_of({"preppo": mixed | {"enabled": False}}) == ("off", None)
    assert rule_of({}) == ("not stored", None)


def test_every_reason_has_words():
    for reason in Reason:
        assert {meaning_of(reason, selected=True), meaning_of(reason, selected=False)}
        assert meaning_of(reason, selected=reason in (Reason.STALE, Reason.ORIGINAL)) != str(reason)
