"""A process that dies while all of them write a checkpoint leaves the checkpoint before, whole."""

from pathlib import Path

import pytest
from support.killed_checkpoint import LEARNER, member
from support.processes import run_processes
from support.sharded_steps import built
from support.tiny_model import save_tiny_model
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from infra.files.folders import remove_unfinished
from trainer.weights import checkpoint

pytestmark = pytest.mark.slow


@pytest.mark.timeout(240)
def test_a_process_killed_in_the_middle_of_a_checkpoint_leaves_a_resumable_one(tmp_path: Path) -> None:
    template, folder = save_tiny_model(tmp_path / "model", seed=0), tmp_path / "checkpoints"
    with pytest.raises((ProcessExitedException, ProcessRaisedException)):  # by whose end is noticed first
        run_processes(member, 2, template, folder)
    assert checkpoint.complete_checkpoints(folder) == [folder / "v000001"]
    remove_unfinished(folder)
    assert [path.name for path in folder.iterdir()] == ["v000001"]
    alone = built(template, LEARNER)
    assert checkpoint.restore(folder / "v000001", alone).version == 1
    assert "steps" in alone.policy_optimizer.tensors()
