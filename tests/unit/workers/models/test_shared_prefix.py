"""A packed row gives each suffix the hidden states that a row of its own would give it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tree_mask import tree_mask
from transformers import LlamaConfig, LlamaModel

from workers.models.shared_prefix import PrefixGroup, fill, pack

VOCABULARY = 64
tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=6)
groups = st.lists(
    st.builds(PrefixGroup, prefix=tokens.filter(bool), suffixes=st.lists(tokens, max_size=4)), min_size=1, max_size=3
)


def tiny_llama() -> LlamaModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaModel(config).eval()


MODEL = tiny_llama()


@given(groups=groups)
@settings(max_examples=25)
def test_hidden_states_equal_separate_passes(groups: list[PrefixGroup]) -> None:
    row = pack(groups)
    with torch.no_grad():
        packed = MODEL(
            input_ids=row.input_ids[None], position_ids=row.position_ids[None], attention_mask=tree_mask(row)
        ).last_hidden_state[0]
        for group, slices, last in zip(groups, row.suffix_slices, row.prefix_last, strict=True):
            for suffix, where in zip(group.suffixes, slices, strict=True):
                alone = MODEL(input_ids=torch.tensor([[*group.prefix, *suffix]])).last_hidden_state[0]
                torch.testing.assert_close(packed[where], alone[len(group.prefix) :], atol=1e-5, rtol=1e-4)
                torch.testing.assert_close(packed[last], alone[len(group.prefix) - 1], atol=1e-5, rtol=1e-4)


@given(groups=groups)
def test_every_token_stands_once_and_sees_itself(groups: list[PrefixGroup]) -> None:
    row = pack(groups)
    length = sum(group.tokens for group in groups)
    assert row.input_ids.shape == row.position_ids.shape == (length,)
    mask = tree_mask(row)[0, 0]
    assert bool(mask.diagonal().all())
    # What a token sees is as many tokens as its position says: the row's own past, whole.
    assert torch.equal(mask.sum(dim=1), row.position_ids + 1)
    assert sum(block.tokens for block in row.blocks) == length


def test_an_empty_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="group 1 has an empty prefix"):
        pack([PrefixGroup([1], [[2]]), PrefixGroup([], [[2]])])


@settings(max_examples=200)
@given(sizes=st.lists(st.integers(1, 30), max_size=12), budget=st.integers(1, 40))
def test_rows_hold_all_in_order_and_no_more_than_the_budget_but_for_one_alone(sizes, budget):
    rows = fill(sizes, budget)
    assert [index for row in rows for index in row] == list(range(len(sizes)))
    used = [sum(sizes[index] for index in row) for row in rows]
    assert all(total <= budget or len(row) == 1 for row, total in zip(rows, used, strict=True))
    assert all(a + sizes[row[0]] > budget for a, row in zip(used, rows[1:], strict=False))
