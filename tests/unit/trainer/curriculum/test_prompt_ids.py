"""Ids as bytes are the same ids, in order and once each."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.curriculum.prompt_ids import PromptIds

IDS = st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=16))


@given(IDS, IDS)
def test_they_are_a_sorted_set(ids, others):
    found = PromptIds.of(ids)
    assert list(found) == sorted(set(ids), key=str.encode)
    assert [found[index] for index in range(len(found))] == list(found)
    assert list(found[1:3]) == list(found)[1:3]
    assert set(found.without(PromptIds.of(others))) == set(ids) - set(others)
    assert set(PromptIds.joined([found, PromptIds.of(others)])) == set(ids) | set(others)


def test_none_are_none():
    assert not PromptIds.of(())
    assert not PromptIds.joined([])


def test_a_million_hashes_take_64_megabytes():
    assert PromptIds.of(f"{number:064x}" for number in range(1000)).encoded.nbytes == 64_000
