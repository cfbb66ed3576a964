"""Against log_softmax and its entropy, written out in the logits' own graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.step import token_logprobs as module
from trainer.step.token_logprobs import sliced_logprobs, token_logprobs


def plain(logits_NV, targets_N, temperature_N):
    all_NV = torch.log_softmax(
        logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)) / temperature_N[:, None], -1
    )
    return all_NV.gather(1, targets_N[:, None])[:, 0], -(all_NV.exp() * all_NV).sum(-1)


def drawn(count, vocabulary, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    logits_NV = (4 * torch.randn(count, vocabulary, generator=draw)).to(dtype).requires_grad_()
    targets_N = torch.randint(vocabulary, (count,), generator=draw)
    temperature_N = 0.3 + torch.rand(count, generator=draw)
    return logits_NV, targets_N, temperature_N


def gradients(function, inputs, by_logprob_N, by_entropy_N, wrt):
    logprobs_N, entropy_N = function(*inputs)
    loss = (by_logprob_N * logprobs_N).sum() + (by_entropy_N * entropy_N).sum()
    return logprobs_N, entropy_N, *torch.autograd.grad(loss, wrt)


@pytest.mark.timeout(60)
@settings(max_examples=40)
@given(
    count=st.integers(1, 9),
    vocabulary=st.integers(2, 40),
    seed=st.integers(0, 999),
    entropy=st.sampled_from([0.0, 0.7]),
    block=st.integers(1, 100),
)
def test_values_and_gradients_are_those_of_log_softmax(count, vocabulary, seed, entropy, block):
    """At any number of tokens worked on at a time, against float64."""
    logits_NV, targets_N, temperature_N = drawn(count, vocabulary, seed)
    weights_N = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    exact = logits_NV.detach().double().requires_grad_()
    expected = gradients(plain, (exact, targets_N, temperature_N.double()), weights_N.double(), entropy, exact)
    before, module._CPU_ELEMENTS = module._CPU_ELEMENTS, block
    try:
        found = gradients(token_logprobs, (logits_NV, targets_N, temperature_N), weights_N, entropy, logits_NV)
    finally:
        module._CPU_ELEMENTS = before
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


def test_one_result_may_carry_no_gradient():
    logits_NV, targets_N, temperature_N = drawn(3, 11)
    for number in range(2):
        ours = torch.autograd.grad(token_logprobs(logits_NV, targets_N, temperature_N)[number].sum(), logits_NV)
        theirs = torch.autograd.grad(plain(logits_NV, targets_N, temperature_N)[number].sum(), logits_NV)
        torch.testing.assert_close(ours, theirs)


def test_bfloat16_logits_give_float32_results_and_their_own_gradient():
    logits_NV, targets_N, temperature_N = drawn(4, 300, dtype=torch.bfloat16)
    found = gradients(token_logprobs, (logits_NV, targets_N, temperature_N), torch.ones(4), 0.5, logits_NV)
    expected = gradients(plain, (logits_NV, targets_N, temperature_N), torch.ones(4), 0.5, logits_NV)
    assert [tensor.dtype for tensor in found] == [torch.float32, torch.float32, torch.bfloat16]
    torch.testing.assert_close(found[:2], expected[:2])
    torch.testing.assert_close(found[2], expected[2], rtol=2**-7, atol=1e-5)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 8, 0])
def test_slices_change_nothing_but_rounding(size, autocast):
    """The head's weights and the states get the same gradients, with fewer logits at a time."""
    torch.manual_seed(0)
    head = torch.nn.Linear(6, 20)
    seen = []
    head.register_forward_hook(lambda _module, _inputs, output: seen.append(len(output)))
    states_ND = torch.randn(7, 6, requires_grad=True)
    _, targets_N, temperature_N = drawn(7, 20)
    wrt = (states_ND, *head.parameters())

    def ours(states, targets, temperature):
        return sliced_logprobs(head, states, targets, temperature, size)

    def theirs(states, targets, temperature):
        return plain(head(states), targets, temperature)

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = gradients(ours, (states_ND, targets_N, temperature_N), torch.linspace(-1, 1, 7), 0.3, wrt)
        assert max(seen) == min(size or 7, 7)
        assert sum(seen) == (14 if 0 < size < 7 else 7)
        expected = gradients(theirs, (states_ND, targets_N, temperature_N), torch.linspace(-1, 1, 7), 0.3, wrt)
    tolerance = {"rtol": 0.03, "atol": 0.01} if autocast else {}
    torch.testing.assert_close(found, expected, **tolerance)
