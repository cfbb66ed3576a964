from dataclasses import replace

import pytest
from support.trajectories import trajectory

from infra.settings.objective import OverlongSettings
from trainer.step.batch import pack_batch
from trainer.step.shaping import loss_mask, overlong_penalty, shaped_scores, shaping_of


def batch_of(*lengths, limit=10):
    members = [replace(trajectory([1], [2] * n, score=0.5), limit=limit, cut_off=n == limit) for n in lengths]
    return pack_batch([members], 4096)


def test_the_penalty_grows_over_the_last_tokens():
    # DAPO, equation 13: L_max 10, L_cache 4
    assert [overlong_penalty(n, 10, 0.4) for n in (1, 6, 7, 8, 10, 11)] == pytest.approx([0, 0, 0.25, 0.5, 1, 1])


def test_shaped_scores_leave_the_raw_ones_as_they_are():
    batch = batch_of(5, 8, 10)
    found = shaped_scores(batch, OverlongSettings(penalty=0.6, penalty_share=0.4))
    assert found.tolist() == pytest.approx([0.5, 0.2, -0.1])
    assert [t.score for t in batch.trajectories] == [0.5, 0.5, 0.5]
    assert shaped_scores(batch, OverlongSettings()).tolist() == [0.5, 0.5, 0.5]


def test_without_a_limit_there_is_no_penalty():
    found = shaped_scores(batch_of(50, limit=0), OverlongSettings(penalty=1.0))
    assert found.tolist() == [0.5]


def test_only_what_the_limit_cut_off_is_masked():
    batch = batch_of(5, 10)
    assert loss_mask(batch, OverlongSettings(mask=True)).tolist() == [True, False]
    assert loss_mask(batch, OverlongSettings()).tolist() == [True, True]


def test_what_shaped_the_rewards_is_named_with_its_version():
    assert shaping_of(OverlongSettings()) == ""
    assert shaping_of(OverlongSettings(penalty=0.5, mask=True)) == "overlong@1 penalty=0.5 share=0.2 mask"
