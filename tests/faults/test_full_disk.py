"""The learner's writes on a disk that fills under them: told as a full disk, and what was whole stays whole."""

import errno
import shutil
from pathlib import Path

import pytest
import torch
from support.tiny_model import save_tiny_model

from infra.settings.learner import LearnerSettings, ValueSettings
from trainer.seqset import SeqSet
from trainer.step.language_models import load_causal_lm
from trainer.step.ppo import PPO
from trainer.weights import checkpoint
from trainer.weights.history import LearnerHistory
from trainer.weights.publish import Publisher

SETTINGS = LearnerSettings(advantage="group", value=ValueSettings(kind="none"))
BLOCK = 128 * 2**10


def fill(folder: Path) -> None:
    """All but a block of what is free."""
    (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free - BLOCK))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "template", seed=0)


@pytest.mark.parametrize("small_disk", ["8m"], indirect=True)
def test_a_checkpoint_on_a_full_disk(small_disk: Path, template: Path) -> None:
    ppo = PPO(load_causal_lm(template), None, SETTINGS)
    folder = small_disk / "checkpoints"
    whole = checkpoint.save(folder, ppo, LearnerHistory(0, 1, 1, {}, SeqSet()), template, keep=1)
    fill(small_disk)
    with pytest.raises(OSError, match="No space left") as raised:
        checkpoint.save(folder, ppo, LearnerHistory(0, 2, 2, {}, SeqSet()), template, keep=1)
    assert raised.value.errno == errno.ENOSPC
    assert list(folder.iterdir()) == [whole]
    assert checkpoint.restore(whole, ppo).version == 1


@pytest.mark.parametrize("small_disk", ["8m"], indirect=True)
def test_a_version_on_a_full_disk(small_disk: Path, template: Path) -> None:
    publisher = Publisher(folder=small_disk / "versions", template=template, run_id="r", dtype=torch.float32, keep=2)
    policy = load_causal_lm(template)
    first = publisher.publish(policy, 0, 1)
    fill(small_disk)
    with pytest.raises(OSError, match="No space left") as raised:
        publisher.publish(policy, 0, 2)
    assert raised.value.errno == errno.ENOSPC
    assert [str(path) for path in (small_disk / "versions").iterdir()] == [first.uri]
