from hypothesis import given
from hypothesis import strategies as st

from trainer.seqset import SeqSet


@given(st.lists(st.integers(0, 30)))
def test_a_seqset_holds_what_was_added_and_keeps_no_filled_prefix(members):
    numbers = SeqSet()
    for member in members:
        numbers.add(member)
    assert [n for n in range(31) if n in numbers] == sorted(set(members))
    assert numbers.low not in numbers
    assert all(n > numbers.low for n in numbers.above)
    assert SeqSet.of(numbers.low, numbers.above) == numbers
