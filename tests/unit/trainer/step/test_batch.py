import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.messages import scored
from support.trajectories import trajectory

from streams.messages import ScoredTrajectory, Segment, VersionSpan
from trainer.step.batch import pack_batch
from trainer.step.language_models import load_causal_lm, policy_forward
from trainer.step.trajectory import TrajectoryError, trajectory_of


def test_rows_predict_what_separate_passes_predict(tiny_policy_folder):
    model = load_causal_lm(tiny_policy_folder)
    members = [
        [trajectory([1, 2, 3], [5, 6]), trajectory([1, 2, 3], [7, 8, 9, 10], temperature=0.7)],
        [trajectory([4], [11, 12, 13], by_policy=[True, False, True])],
    ]
    batch = pack_batch(members, packed_row_tokens=64)
    assert len(batch.rows) == 1
    row = batch.rows[0]
    found = policy_forward(model, row).logprobs_N
    expected = []
    for member in batch.trajectories:
        ids = torch.tensor([[*member.prompt, *member.tokens]])
        logprobs = torch.log_softmax(model(ids).logits[0].float() / member.temperature, -1)
        for i, (token, made) in enumerate(zip(member.tokens, member.by_policy, strict=True)):
            if made:
                expected.append(logprobs[len(member.prompt) + i - 1, token])
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)
    assert row.targets_N.tolist() == [5, 6, 7, 8, 9, 10, 11, 13]
    assert row.trajectory_N.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    assert row.step_N.tolist() == [0, 1, 0, 1, 2, 3, 0, 1]


def test_rows_hold_whole_groups_within_the_budget():
    members = [[trajectory([1] * 10, [2] * 10)] for _ in range(5)]
    batch = pack_batch(members, packed_row_tokens=45)
    assert [len(row.packed.input_ids) for row in batch.rows] == [40, 40, 20]
    assert batch.targets == 50
    assert batch.groups == [[0], [1], [2], [3], [4]]


def test_a_group_larger_than_a_row_is_spread_over_rows_with_its_prompt_in_each():
    members = [[trajectory([1] * 10, [2 + i] * (20 + i)) for i in range(4)], [trajectory([3], [9])]]
    batch = pack_batch(members, packed_row_tokens=55)
    assert [len(row.packed.input_ids) for row in batch.rows] == [51, 55, 2]
    assert [sorted(set(row.trajectory_N.tolist())) for row in batch.rows] == [[0, 1], [2, 3], [4]]
    assert batch.groups == [[0, 1, 2, 3], [4]]


@settings(max_examples=100, deadline=None)
@given(
    groups=st.lists(st.tuples(st.integers(1, 9), st.lists(st.integers(1, 20), min_size=1, max_size=6)), min_size=1),
    budget=st.integers(1, 60),
)
def test_rows_hold_every_response_once_within_the_budget(groups, budget):
    members = [[trajectory([1] * prompt, [2] * size) for size in sizes] for prompt, sizes in groups]
    batch = pack_batch(members, budget)
    owners = [index for row in batch.rows for index in dict.fromkeys(row.trajectory_N.tolist())]
    assert owners == list(range(len(batch.trajectories)))
    for row in batch.rows:
        alone = len(set(row.trajectory_N.tolist())) == 1
        assert len(row.packed.input_ids) <= budget or alone
    assert batch.targets == sum(sum(sizes) for _, sizes in groups)


def test_a_message_becomes_a_trajectory_untouched():
    found = trajectory_of(
        scored(0, 0, 1.0, tokens=[5, 6], logprobs=[-0.5, -0.25], spans=[VersionSpan(0, 3, 1), VersionSpan(0, 4, 1)])
    )
    assert found.tokens.tolist() == [5, 6]
    assert found.logprobs.tolist() == [-0.5, -0.25]
    assert found.versions.tolist() == [3, 4]


def cut_short(scored: ScoredTrajectory) -> ScoredTrajectory:
    """With token ids that lack a byte."""
    segments = tuple(Segment(source=s.source, token_ids=s.token_ids[:-1]) for s in scored.rollout.segments)
    return msgspec.structs.replace(scored, rollout=msgspec.structs.replace(scored.rollout, segments=segments))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (scored(0, 0, None), "no score"),
        (scored(0, 0, 1.0, logprobs=[-1.0]), "segment 1"),
        (scored(0, 0, 1.0, spans=[VersionSpan(0, 0, 2)]), "spans cover 2"),
        (scored(0, 0, 1.0, logprobs=[-1.0, float("nan"), -1.0]), "log-probabilities between nan"),
        (scored(0, 0, 1.0, prompt=[]), "no tokens"),
        (cut_short(scored(0, 0, 1.0)), "segment 0"),
    ],
)
def test_a_broken_message_is_named(broken, why):
    with pytest.raises(TrajectoryError, match=why):
        trajectory_of(broken)
