"""Block-wise attention against transformers' own under the whole mask."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from trainer.models import load_causal_lm
from workers import shared_prefix
from workers.shared_prefix import PrefixGroup, attention_mask, pack

group = st.tuples(st.integers(1, 6), st.lists(st.integers(1, 9), min_size=1, max_size=5))


def packed(sizes, block, seed=0):
    draw = torch.Generator().manual_seed(seed)

    def ids(count):
        return torch.randint(3, 90, (count,), generator=draw).tolist()

    before, shared_prefix._BLOCK_TOKENS = shared_prefix._BLOCK_TOKENS, block
    try:
        return pack([PrefixGroup(ids(prefix), [ids(count) for count in suffixes]) for prefix, suffixes in sizes])
    finally:
        shared_prefix._BLOCK_TOKENS = before


@pytest.mark.timeout(60)
@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(group, min_size=1, max_size=3), block=st.integers(1, 40))
def test_blocks_hold_the_mask_and_nothing_outside_of_it(sizes, block):
    row = packed(sizes, block)
    again = torch.zeros_like(row.mask)
    start = first = 0
    for own in row.blocks:
        stop = start + own.tokens
        first = start if own.prefix == 0 else first
        if own.prefix:
            again[start:stop, first : first + own.prefix] = own.mask[:, : own.prefix]
        again[start:stop, start:stop] = own.mask[:, own.prefix :]
        start = stop
    assert start == len(row.input_ids)
    assert torch.equal(again, row.mask)


@pytest.fixture(scope="module")
def models(tiny_policy_folder):
    plain = AutoModelForCausalLM.from_pretrained(tiny_policy_folder, dtype=torch.float32, attn_implementation="sdpa")
    return plain.eval(), load_causal_lm(tiny_policy_folder)


@pytest.mark.parametrize("block", [1, 8, 12, 256])
def test_states_and_gradients_are_those_under_the_whole_mask(models, block):
    row = packed([(3, [2, 5, 1, 7]), (1, [4]), (5, [6, 6])], block)
    found = []
    for model, options in zip(models, ({}, {"packed_blocks": row.blocks}), strict=True):
        output = model.base_model(
            input_ids=row.input_ids[None],
            position_ids=row.position_ids[None],
            attention_mask=attention_mask(row),
            use_cache=False,
            **options,
        ).last_hidden_state
        found.append((output, torch.autograd.grad(output.square().mean(), list(model.base_model.parameters()))))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_plain_calls_are_transformers_own(models):
    ids = torch.tensor([[0, 5, 6, 7], [3, 4, 5, 6]])
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    expected, found = (model(ids, attention_mask=mask).logits for model in models)
    torch.testing.assert_close(found, expected)
