"""Block-wise attention against transformers' own under the whole mask."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.step.language_models import load_causal_lm
from workers.models import packed_attention, shared_prefix
from workers.models.shared_prefix import PrefixGroup, attention_mask, pack

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
@settings(max_examples=60)
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


def test_dropout_is_of_every_block(models):
    """All of it leaves nothing, so that whatever attends to something would show."""
    row = packed([(3, [2, 5]), (1, [4])], 4)
    query, key = torch.randn(1, 4, len(row.input_ids), 8), torch.randn(1, 2, len(row.input_ids), 8)
    attend = partial(packed_attention.packed_attention, models[0], query, key, key, None, packed_blocks=row.blocks)
    assert attend(dropout=0.0)[0].all()
    assert not attend(dropout=1.0)[0].any()


SMALL = {"vocab_size": 128, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
FITS = {
    "qwen3": {"num_key_value_heads": 1, "intermediate_size": 32, "head_dim": 8},
    "gpt_neox": {"intermediate_size": 32},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},  # which hands no keyword on to its attention
    "falcon": {},  # which knows no attention but transformers'
}


@pytest.mark.parametrize("kind", FITS)
def test_architectures_give_the_states_of_their_own_attention(tmp_path, kind):
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SMALL, **FITS[kind])).save_pretrained(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, attn_implementation="sdpa").eval()
    row = packed([(3, [2, 5, 1]), (1, [4])], 4)
    expected, found = (
        model.base_model(
            input_ids=row.input_ids[None],
            position_ids=row.position_ids[None],
            attention_mask=attention_mask(row),
            use_cache=False,
            **options,
        ).last_hidden_state
        for model, options in ((plain, {}), (load_causal_lm(tmp_path), {"packed_blocks": row.blocks}))
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_attends_otherwise_is_refused_not_computed_wrongly(tmp_path):
    config = AutoConfig.for_model("gpt_oss", **SMALL, num_key_value_heads=1, intermediate_size=32, num_local_experts=2)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="does not support an attention implementation"):
        load_causal_lm(tmp_path)
