"""Which closings and versions a later lineage takes back."""

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
