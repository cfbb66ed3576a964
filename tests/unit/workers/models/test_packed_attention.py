"""Block-wise attention against attention under the row's whole mask."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tree_mask import tree_mask
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM

from trainer.step.language_models import load_causal_lm
from workers.models import packed_attention, shared_prefix
from workers.models.packed_attention import RowAttention, UnknownAttentionError
from workers.models.packed_model import row_states
from workers.models.shared_prefix import PrefixGroup, pack

HEADS, KEY_HEADS, WIDTH = 4, 2, 8
group = st.tuples(st.integers(1, 12), st.lists(st.integers(0, 14), max_size=5))


def packed(sizes, block=256, seed=0):
    draw = torch.Generator().manual_seed(seed)

    def ids(count):
        return torch.randint(3, 90, (count,), generator=draw).tolist()

    before, shared_prefix._BLOCK_TOKENS = shared_prefix._BLOCK_TOKENS, block
    try:
        return pack([PrefixGroup(ids(prefix), [ids(count) for count in suffixes]) for prefix, suffixes in sizes])
    finally:
        shared_prefix._BLOCK_TOKENS = before


def states(row, seed=0):
    """Query, key and value of the row, with gradients."""
    draw = torch.Generator().manual_seed(seed)
    length = len(row.input_ids)
    return [
        torch.randn(1, heads, length, WIDTH, generator=draw).requires_grad_() for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    ]


def attend(row, tensors, **options):
    attention = RowAttention(row.blocks, torch.device("cpu"))
    return packed_attention.packed_attention(torch.nn.Module(), *tensors, None, packed_row=attention, **options)[0]


def whole(row, tensors, window=None, softcap=None, sinks=None):
    """Attention under the whole mask, written out."""
    query, key, value = tensors
    key, value = (tensor.repeat_interleave(HEADS // KEY_HEADS, dim=1) for tensor in (key, value))
    scores = query @ key.transpose(-1, -2) * WIDTH**-0.5
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~tree_mask(row, window), -torch.inf)
    if sinks is not None:
        scores = torch.cat([scores, sinks.reshape(1, HEADS, 1, 1).expand(-1, -1, scores.shape[2], -1)], dim=-1)
    weights = scores.softmax(-1)[..., : key.shape[2]]
    return (weights @ value).transpose(1, 2)


@pytest.mark.timeout(110)
@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(group, min_size=1, max_size=3),
    block=st.integers(1, 40),
    elements=st.sampled_from([1, 20, 150, 1 << 20]),
    options=st.tuples(st.none() | st.integers(1, 30), st.none() | st.just(2.0), st.booleans()),
)
def test_it_is_attention_under_the_whole_mask_with_its_gradients(sizes, block, elements, options):
    """`elements` bounds masks and scores, so that every form of a block's attention is met."""
    window, softcap, sinks = options
    row = packed(sizes, block)
    tensors = states(row)
    sinks_H = torch.linspace(-1, 2, HEADS).requires_grad_() if sinks else None
    expected = whole(row, tensors, window, softcap, sinks_H)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_attention, "_MASK_ELEMENTS", elements)
        patch.setattr(packed_attention, "_SCORE_ELEMENTS", elements)
        found = attend(row, tensors, sliding_window=window, softcap=softcap, s_aux=sinks_H)
        inputs = tensors if sinks_H is None else [*tensors, sinks_H]
        weight = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
        gradients = torch.autograd.grad((found * weight).sum(), inputs)
        with torch.no_grad():
            torch.testing.assert_close(
                attend(row, tensors, sliding_window=window, softcap=softcap, s_aux=sinks_H), found
            )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients, torch.autograd.grad((expected * weight).sum(), inputs), rtol=1e-4, atol=1e-5)


def largest_masks(monkeypatch, row, **options):
    """Sizes of the masks that the row's attention makes."""
    sizes = []
    make = packed_attention._chunk_mask

    def noted(*arguments):
        mask = make(*arguments)
        sizes.append(mask.numel())
        return mask

    monkeypatch.setattr(packed_attention, "_chunk_mask", noted)
    tensors = [tensor.detach() for tensor in states(row)]
    attend(row, tensors, **options)
    return sizes


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ([(40, [3000, 2500])], {}),
        ([(3000, [40, 400])], {}),
        ([(2000, [10] * 60)], {}),
        ([(40, [3000])], {"sliding_window": 500}),
        ([(40, [1500])], {"softcap": 5.0}),
    ],
)
def test_no_mask_is_larger_than_its_bound(monkeypatch, sizes, options):
    monkeypatch.setattr(packed_attention, "_MASK_ELEMENTS", 1 << 17)
    assert max(largest_masks(monkeypatch, packed(sizes), **options), default=0) <= 1 << 17


def test_a_long_response_after_a_short_prompt_needs_no_mask(monkeypatch):
    assert not largest_masks(monkeypatch, packed([(40, [3000])]))


def test_an_attention_with_an_unknown_keyword_is_named():
    row = packed([(3, [2])])
    with pytest.raises(UnknownAttentionError, match="Module attends with position_bias"):
        attend(row, states(row), position_bias=torch.zeros(1), softcap=None)


@pytest.fixture(scope="module")
def models(tiny_policy_folder):
    plain = AutoModelForCausalLM.from_pretrained(tiny_policy_folder, dtype=torch.float32, attn_implementation="sdpa")
    return plain.eval(), load_causal_lm(tiny_policy_folder)


@pytest.mark.parametrize("block", [1, 8, 12, 256])
def test_states_and_gradients_are_those_under_the_whole_mask(models, block):
    row = packed([(3, [2, 5, 1, 7]), (1, [4]), (5, [6, 6])], block)
    plain, ours = models
    under_mask = plain.base_model(
        input_ids=row.input_ids[None],
        position_ids=row.position_ids[None],
        attention_mask=tree_mask(row),
        use_cache=False,
    ).last_hidden_state[0]
    found = [
        (output, torch.autograd.grad(output.square().mean(), list(model.base_model.parameters())))
        for model, output in ((plain, under_mask), (ours, row_states(ours, row)))
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_plain_calls_are_transformers_own(models):
    ids = torch.tensor([[0, 5, 6, 7], [3, 4, 5, 6]])
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    expected, found = (model(ids, attention_mask=mask).logits for model in models)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("options", [{}, {"softcap": 3.0}])
def test_dropout_is_of_every_block(options):
    """All of it leaves nothing, so that whatever attends to something would show."""
    row = packed([(3, [2, 5]), (1, [4])], 4)
    run = partial(attend, row, states(row), **options)
    assert run(dropout=0.0).all()
    assert not run(dropout=1.0).any()


def test_the_kernel_without_a_mask_is_causal():
    """What `is_causal` means for as many queries as keys; the packed form relies on it."""
    query = torch.randn(1, 1, 5, 4)
    masked = scaled_dot_product_attention(query, query, query, attn_mask=torch.ones(5, 5, dtype=torch.bool).tril())
    torch.testing.assert_close(scaled_dot_product_attention(query, query, query, is_causal=True), masked)
