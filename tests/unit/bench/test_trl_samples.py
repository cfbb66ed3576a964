"""What both sides of learner.vs_trl train on."""

from dataclasses import replace

import pytest
from bench.trl_samples import PROMPT_TOKENS, Lengths, draw_groups, read_groups, response_tokens, write_groups
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.timeout(30)
VOCABULARY = range(3, 100)


@given(st.integers(1, 50), st.integers(0, 500), st.booleans(), st.integers(2, 9), st.integers(0, 2**32))
def test_groups_share_a_prompt_differ_in_score_and_keep_to_the_lengths(shortest, more, long_tailed, responses, seed):
    lengths = Lengths(shortest, shortest + more, long_tailed=long_tailed)
    for group in draw_groups(3, responses, lengths, VOCABULARY, seed):
        assert len(group) == responses
        assert len({tuple(sample.prompt) for sample in group}) == 1
        assert PROMPT_TOKENS[0] <= len(group[0].prompt) <= PROMPT_TOKENS[1]
        assert {sample.score for sample in group} == {0.0, 1.0}
        assert all(shortest <= len(sample.response) <= shortest + more for sample in group)
        assert all(token in VOCABULARY for sample in group for token in sample.response)


def test_file_gives_back_every_number(tmp_path):
    drawn = draw_groups(2, 4, Lengths(1, 9, long_tailed=False), VOCABULARY, seed=3)
    groups = [[replace(s, logprobs=[-1 / (i + 3) for i in range(len(s.response))]) for s in group] for group in drawn]
    write_groups(groups, tmp_path / "samples.json")
    assert read_groups(tmp_path / "samples.json") == groups


def test_long_tailed_lengths_are_as_often_in_each_octave():
    [group] = draw_groups(1, 4000, Lengths(32, 512, long_tailed=True), VOCABULARY, seed=0)
    for low in (32, 64, 128, 256):
        assert 900 < sum(low <= len(sample.response) < 2 * low for sample in group) < 1100
    assert response_tokens([group]) == sum(len(sample.response) for sample in group)
