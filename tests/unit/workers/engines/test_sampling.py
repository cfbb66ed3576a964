import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from workers.engines.sampling import draw, stream_of, uniforms


@pytest.mark.parametrize("vocabulary", [5, 256, 700])
def test_frequencies_follow_the_distribution(vocabulary: int) -> None:
    rows = 20_000
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary)) * 2
    numbers = uniforms([stream_of(0, "g", i) for i in range(rows)], [0] * rows)
    tokens, logprobs = draw(logits.expand(rows, -1), [1.0] * rows, [1.0] * rows, numbers)
    expected = logits.softmax(-1)
    counts = torch.bincount(torch.tensor(tokens), minlength=vocabulary) / rows
    # Five standard deviations of a multinomial count, for every token.
    assert (counts - expected).abs().le(5 * (expected / rows).sqrt() + 1 / rows).all()
    assert torch.allclose(torch.tensor(logprobs), expected.log()[tokens], atol=1e-5)


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_uniforms_depend_on_stream_and_position_alone(stream: int, positions: list[int]) -> None:
    together = uniforms([stream] * len(positions), positions)
    assert ((together >= 0) & (together < 1)).all()
    for number, position in zip(together, positions, strict=True):
        assert uniforms([stream], [position])[0] == number


def test_uniforms_look_uniform_and_uncorrelated() -> None:
    streams = [stream_of(7, f"group-{g}", i) for g in range(50) for i in range(8)]
    grid = np.array([uniforms([stream] * 50, list(range(50))) for stream in streams])
    assert abs(grid.mean() - 0.5) < 0.01
    assert abs(grid.var() - 1 / 12) < 0.005
    neighbours = np.corrcoef(grid[:, :-1].ravel(), grid[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.03


@given(st.floats(0, 1 - 2**-23, width=32), st.integers(0, 2**32))
def test_a_token_of_no_weight_is_never_drawn(number: float, seed: int) -> None:
    logits = torch.randn(1, 600, generator=torch.Generator().manual_seed(seed)) * 30  # most weights underflow
    logits[0, -200:] = -torch.inf
    (token,), (logprob,) = draw(logits, [1.0], [1.0], np.array([number], dtype=np.float32))
    assert token < 400
    assert np.isfinite(logprob)


def test_rows_of_a_batch_keep_their_own_temperature_and_nucleus() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(4, -1)
    numbers = np.array([0.99, 0.99, 0.99, 0.5], dtype=np.float32)
    tokens, logprobs = draw(logits, [0.0, 1.0, 0.25, 1.0], [1.0, 0.5, 1.0, 1.0], numbers)
    plain = logits[0].log_softmax(-1)
    assert tokens[0] == 0
    assert logprobs[0] == pytest.approx(float(plain[0]), abs=1e-6)
    assert (tokens[1], logprobs[1]) == (0, pytest.approx(0.0, abs=1e-6))  # the likeliest alone reaches half the mass
    sharp = (logits[0] / 0.25).log_softmax(-1)
    assert logprobs[2] == pytest.approx(float(sharp[tokens[2]]), abs=1e-6)


def test_rounding_at_the_end_of_a_block_draws_no_token_of_no_weight() -> None:
    rows, blocks = 512, 16
    logits = torch.randn(rows, blocks, 256, generator=torch.Generator().manual_seed(3))
    logits[:, :, :50] = logits[:, :, 150:] = -torch.inf
    weights = logits.flatten(1).softmax(-1)
    ends = weights.view(rows, blocks, 256).sum(-1).cumsum(-1)
    for block in range(blocks):
        numbers = torch.nextafter(ends[:, block] / ends[:, -1], torch.tensor(0.0)).clamp(max=1 - 2**-23)
        tokens, logprobs = draw(weights.log(), [1.0] * rows, [1.0] * rows, numbers.numpy())
        assert all(50 <= token % 256 < 150 for token in tokens)
        assert np.isfinite(logprobs).all()
