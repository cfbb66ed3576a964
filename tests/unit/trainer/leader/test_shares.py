"""What the leader sends of a batch: to each process its rows, once, in few bytes."""

import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import scored
from support.ppo_cases import GROUP, changed
from support.trajectories import trajectory

from trainer.leader.commands import Train
from trainer.leader.coordinator import shares_of
from trainer.step.batch import TrainingRow, outline_of, pack_batch, pack_rows
from trainer.step.row_plan import plan_rows
from trainer.step.trajectory import trajectory_of, with_one_prompt

GROUPS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4), min_size=1, max_size=8)
KNOWN = frozenset({(0, 0)})


@given(groups=GROUPS, processes=st.integers(1, 5), minibatches=st.integers(1, 3), version=st.integers(0, 9))
def test_each_row_goes_to_the_one_process_that_counts_it(groups, processes, minibatches, version):
    members = [[trajectory([1] * 3, [2] * length) for length in lengths] for lengths in groups]
    outline = outline_of(members, 40)
    settings = changed(GROUP, minibatches=minibatches)
    plan = plan_rows(outline, settings, version=version, seed=7, processes=processes)
    shares = shares_of(plan, [one for group in members for one in group], KNOWN)
    assert sorted(number for rows in plan.minibatches for number in rows) == list(range(len(outline.rows)))
    for numbers in (*plan.minibatches, range(len(outline.rows))):
        passes = [plan.passes(numbers, rank) for rank in range(processes)]
        assert len({len(each) for each in passes}) == 1
        assert Counter(number for each in passes for number, counted in each if counted) == Counter(numbers)
        for share, each in zip(shares, passes, strict=True):
            assert {number for number, _ in each} <= set(share.numbers)
    idle = sum(rank not in plan.owners for rank in range(processes))
    assert sum(len(share.numbers) for share in shares) == len(outline.rows) + idle


def test_a_process_packs_its_share_as_one_process_packs_all():
    members = [[trajectory([1, 2, n], [3] * (n + m + 1)) for m in range(3)] for n in range(6)]
    whole, outline = pack_batch(members, 24), outline_of(members, 24)
    plan = plan_rows(outline, GROUP, version=0, seed=0, processes=3)
    shares = shares_of(plan, whole.trajectories, KNOWN)
    for share in shares:
        rows = pack_rows(outline, share.numbers, share.trajectories, None)
        for number, row in zip(share.numbers, rows, strict=True):
            assert_same(row, whole.rows[number])


def assert_same(ours: TrainingRow, theirs: TrainingRow) -> None:
    assert ours.outline == theirs.outline
    assert ours.packed.input_ids.tolist() == theirs.packed.input_ids.tolist()
    for name in ("predictors_N", "targets_N", "behaviour_N", "versions_N", "trajectory_N", "step_N"):
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()


@pytest.mark.parametrize(("prompt", "response"), [(2000, 1000), (200, 64)])
def test_a_batch_takes_at_most_40_bytes_per_token_between_all_processes(prompt, response):
    """Members come from messages of their own, each with its copy of the prompt."""
    groups = [
        with_one_prompt(
            [trajectory_of(scored(seq, i, 1.0, prompt=[1] * prompt, tokens=[2] * response)) for i in range(8)]
        )
        for seq in range(8)
    ]
    outline = outline_of(groups, 4 * response + prompt)
    plan = plan_rows(outline, GROUP, version=0, seed=0, processes=4)
    shares = shares_of(plan, [one for group in groups for one in group], KNOWN)
    command = Train(outline, 0, 0)
    sent = 4 * len(pickle.dumps(command)) + sum(len(pickle.dumps(share)) for share in shares)
    assert sent < 40 * sum(row.tokens for row in outline.rows)
    again = pickle.loads(pickle.dumps(shares[0]))  # noqa: S301 (made on this line)
    prompts = {id(one.prompt) for one in again.trajectories.values()}
    assert len(prompts) < len(again.trajectories)
