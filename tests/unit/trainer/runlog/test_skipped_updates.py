import json
import math

import pytest
from support.ppo_cases import GROUP, changed
from support.trajectories import trajectory

from infra.cli.errors import ExitCode, explain
from trainer.runlog import skipped_updates
from trainer.runlog.skipped_updates import DivergedError
from trainer.step.batch import pack_batch
from trainer.step.report import SkippedUpdate


def keep(folder, version, settings=GROUP, groups=(1,)):
    batch = pack_batch([[trajectory([1], [2, 3], score=0.25)], [trajectory([4], [5], score=1.0)]], 64)
    update = SkippedUpdate(minibatch=1, groups=groups, policy_gradient_norm=math.nan, value_gradient_norm=0.5)
    skipped_updates.keep(folder, batch, [update], ["r:0", "r:1"], settings, version=version, seed=3)


def test_a_skipped_batch_can_be_looked_at(tmp_path, metric_change):
    keep(tmp_path, version=4)
    found = json.loads((tmp_path / "bad-batches" / "v000004-1" / "batch.json").read_text())
    assert (found["version"], found["seed"], found["policy_gradient_norm"]) == (4, 3, "nan")
    (group,) = found["groups"]
    assert group["group_id"] == "r:1"
    assert group["trajectories"][0]["tokens"] == [5]
    assert group["trajectories"][0]["logprobs"] == [-1.0]
    assert metric_change("learner_skipped_updates_total") == 1


@pytest.mark.parametrize("count", [0, 2])
def test_the_number_of_kept_batches_is_bounded(tmp_path, count):
    for version in range(4):
        keep(tmp_path, version, changed(GROUP, divergence_guard={"keep_batches": count}))
    found = sorted(path.name for path in tmp_path.glob("bad-batches/*"))
    assert found == [f"v{version:06d}-1" for version in range(count)]


def test_too_many_skipped_updates_end_the_run_for_good(tmp_path):
    """The supervisor takes this exit code as final."""
    skipped_updates.require_sane(2, tmp_path, GROUP)
    with pytest.raises(DivergedError, match=r"3 updates .* learner\.learning_rate") as error:
        skipped_updates.require_sane(3, tmp_path, GROUP)
    assert explain(error.value) == (ExitCode.DIVERGED, str(error.value))
