"""Which closings and versions a later lineage takes back."""

import msgspec
import pytest
from support.messages import closed, started

from trainer.curriculum.lineages import Lineages


@pytest.mark.parametrize(
    ("lineage", "ordinal", "abandoned"),
    [(1, 4, False), (1, 5, True), (2, 5, False), (2, 7, False), (2, 8, True), (3, 8, False), (1, 9, True)],
)
def test_closings_from_a_later_start_on_are_abandoned(lineage, ordinal, abandoned):
    lineages = Lineages.of([started(1, 0), started(2, 5), started(3, 8)])
    assert lineages.abandoned(closed(0, ordinal, lineage=lineage)) is abandoned


def test_a_version_is_left_behind_by_a_later_start_below_it_only():
    lineages = Lineages.of([started(1, 0), started(2, 5, version=10)])
    assert lineages.rewound(1, 11)
    assert not lineages.rewound(1, 10)
    assert not lineages.rewound(2, 12)


def test_a_start_that_is_read_twice_is_no_news():
    lineages = Lineages()
    assert lineages.add(started(1, 3))
    assert not lineages.add(started(1, 3))


def test_of_two_claims_that_follow_one_lineage_the_first_counts():
    lineages = Lineages.of([started(0, 0), started(1, 3), started(1, 5)])
    assert lineages.starts[1].ordinal == 3
    assert lineages.refused == 1


def test_a_claim_that_comes_late_does_not_count():
    """Its learner slept between reading the log and claiming."""
    late = msgspec.structs.replace(started(1, 0), follows=0, learner="late")
    lineages = Lineages.of([started(0, 0), started(1, 3), started(2, 4), late])
    assert list(lineages.starts) == [0, 1, 2]
    assert not lineages.abandoned(closed(0, 2, lineage=0))


@pytest.mark.parametrize("first", [True, False])
def test_a_claim_from_nowhere_changes_nothing(first):
    """Also if it lies in a partition that is read before that of the others."""
    sound, nowhere = [started(0, 0), started(1, 3)], [started(99, 0), started(2**31 - 1, 0)]
    assert list(Lineages.of(nowhere + sound if first else sound + nowhere).starts) == [0, 1]


def test_after_retention_the_first_claim_that_is_left_counts():
    assert list(Lineages.of([started(5, 30), started(6, 40)]).starts) == [5, 6]


def test_a_number_may_be_left_out_if_a_saved_state_had_it():
    gap = msgspec.structs.replace(started(8, 3), follows=1)
    assert list(Lineages.of([started(0, 0), started(1, 3), gap]).starts) == [0, 1, 8]


def test_a_closing_whose_version_cannot_be_is_not_admitted():
    lineages = Lineages.of([started(0, 0)])
    assert lineages.admit([closed(0, 0, lineage=0, version=1_000_000)]) == []
    assert len(lineages.admit([closed(0, 0, lineage=0, version=1)])) == 1


def test_a_closing_waits_for_the_claim_of_its_lineage():
    lineages = Lineages.of([started(0, 0)])
    early = closed(0, 0, lineage=1, version=0)
    assert lineages.admit([early]) == []
    lineages.add(started(1, 0))
    assert lineages.admit([]) == [early]
    assert lineages.admit([]) == []
