"""The bit-parallel edit distance is the table's, and a group's spread is measured once, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import rollout

from workers.scoring.crosscheck import group_spread
from workers.scoring.crosscheck.edit_distance import edit_distance, largest_edit_distance
from workers.scoring.crosscheck.group_spread import GroupSpread

TEXTS = st.text("abcä ", max_size=40)


def table_distance(first: str, second: str) -> int:
    """Levenshtein's distance by the table of all prefixes (Wagner and Fischer 1974)."""
    row = list(range(len(second) + 1))
    for index, left in enumerate(first, 1):
        above, row = row, [index]
        for place, right in enumerate(second, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (left != right)))
    return row[-1]


@given(TEXTS, TEXTS)
def test_it_is_the_table_s(first: str, second: str) -> None:
    assert edit_distance(first, second) == table_distance(first, second)


@pytest.mark.parametrize(
    ("texts", "largest"),
    [
        ((), 0.0),
        (("a",), 0.0),
        (("same", "same"), 0.0),
        (("", "abc"), 1.0),
        (("kitten", "sitting", "kitten"), 3 / 7),
        (("abcd" + "x" * 99, "abcd" + "y" * 99), 0.0),
    ],
)
def test_the_largest_of_a_group_is_a_fraction_of_the_longer_text(texts, largest) -> None:
    assert largest_edit_distance(texts, 4 if any(len(text) > 50 for text in texts) else 99) == largest


def test_long_texts_cost_no_more_than_their_cut() -> None:
    """The whole texts would take hours."""
    assert largest_edit_distance([chr(97 + number) * 10**6 for number in range(5)], 512) == 1.0


def test_a_group_is_measured_once_over_its_first_responses() -> None:
    spread = GroupSpread(responses=3, characters=99)
    texts = ["aaaa", "aaab", "bbbb", "cccc"]
    made = [rollout(1, index, text=text, group_size=4) for index, text in enumerate(texts)]
    assert [spread.add(one) for one in (made[3], made[2], made[0], made[0], made[1], made[1])] == [
        *(None, None, None, None),
        1.0,
        None,
    ]
    pair = [rollout(2, index, text=text, group_size=2) for index, text in enumerate(texts)][:2]
    assert [spread.add(one) for one in pair] == [None, 0.25]


def test_groups_that_stay_open_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_spread, "_OPEN_GROUPS", 2)
    spread = GroupSpread(responses=2, characters=9)
    for seq in range(3):
        spread.add(rollout(seq, 0, text="a"))
    assert [spread.add(rollout(seq, 1, text="b")) for seq in (2, 1)] == [1.0, 1.0]
    assert spread.add(rollout(0, 1, text="b")) is None
