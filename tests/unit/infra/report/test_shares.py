"""Shares asked for, dispatched and trained, from the groups of a run."""

from support.report_rows import group

from infra.report import figures
from infra.report.shares import domain_shares, shares_by_version

SHARES = {"math": ((0, 3.0), (2, 1.0))}
GROUPS = [
    *(group(seq, domain="math", dispatched_version=0, version=1) for seq in range(3)),
    group(3, domain="math", outcome="filtered", dispatched_version=2, version=None),
    *(group(seq, domain="qa", dispatched_version=2, version=3) for seq in (4, 5)),
    group(6, domain="qa", purpose="eval", outcome="filtered"),
]


def test_what_was_asked_is_taken_where_groups_were_dispatched():
    found = domain_shares(GROUPS, SHARES)
    assert found["math"] == {
        "asked": 0.625,  # 3/4 for three groups, 1/2 for three
        "dispatched": 0.6667,
        "trained": 0.6,
        "dispatched_groups": 4,
        "trained_groups": 3,
    }
    assert found["qa"]["asked"] == 0.375


def test_before_the_first_trained_group_nothing_is_said_of_training():
    found = domain_shares([group(0, outcome=None)], {})
    assert (found["a"]["asked"], found["a"]["trained"]) == (1.0, None)
    assert domain_shares([], {}) == {}


def test_the_trained_share_is_one_of_the_last_versions():
    found = shares_by_version(GROUPS, SHARES, window=2)
    assert found == {"math": {1: (2 / 3, 1.0), 3: (0.5, 0.0)}, "qa": {1: (1 / 3, 0.0), 3: (0.5, 1.0)}}
    assert shares_by_version(GROUPS, SHARES, window=3)["math"][3] == (0.5, 0.6)


def test_a_single_domain_has_no_picture():
    assert figures.shares([group(0)], {}) is None
    assert figures.shares(GROUPS, SHARES)
