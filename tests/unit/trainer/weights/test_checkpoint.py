"""A checkpoint is complete or it is not there, is restored exactly, and can be made a model of."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from support.ppo_cases import GROUP, VALUE, batch_of, ppo_of

from streams.records import TopicPartition
from trainer.distributed.tensor_files import PartWriter
from trainer.seqset import SeqSet
from trainer.step.language_models import load_causal_lm
from trainer.weights import checkpoint
from trainer.weights.checkpoint import CheckpointError
from trainer.weights.export import exported
from trainer.weights.history import LearnerHistory
from workers.engines.weights import shapes_of
from workers.models.chat import load_tokenizer

START = LearnerHistory(0, 0, 0, {}, SeqSet())


@pytest.mark.parametrize("settings", [GROUP, VALUE])
def test_a_restored_learner_takes_the_same_step_bit_for_bit(tiny_policy_folder, tmp_path, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    ppo.step(batch, version=0, seed=3)
    ppo.skips_in_a_row = 2
    history = LearnerHistory(0, 1, 4, {TopicPartition("scored", 1): 7}, SeqSet.of(2, [5]))
    path = checkpoint.save(tmp_path, ppo, history, tiny_policy_folder, keep=2)
    expected = ppo.step(batch, version=1, seed=3)

    assert checkpoint.complete_checkpoints(tmp_path) == [path]
    again = ppo_of(tiny_policy_folder, settings)
    assert checkpoint.restore(path, again) == history
    assert again.skips_in_a_row == 2
    found = again.step(batch, version=1, seed=3)
    assert (found.policy_loss, found.value_loss) == (expected.policy_loss, expected.value_loss)
    for ours, theirs in zip(again.policy.parameters(), ppo.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("saved", "wanted"), [(GROUP, VALUE), (VALUE, GROUP)])
def test_a_checkpoint_of_other_settings_is_refused(tiny_policy_folder, tmp_path, saved, wanted):
    path = checkpoint.save(tmp_path, ppo_of(tiny_policy_folder, saved), START, tiny_policy_folder, keep=2)
    with pytest.raises(CheckpointError, match=r"value\..*learner\.value\.kind"):
        checkpoint.restore(path, ppo_of(tiny_policy_folder, wanted))


@pytest.mark.parametrize("name", ["checkpoint.json", "history.json", "tensors/.metadata", "tensors/part-0.bin"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tiny_policy_folder, tmp_path, name, content):
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, START, tiny_policy_folder, keep=2)
    (path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path}: .* remove the folder"):
        checkpoint.restore(path, ppo)


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_reading_an_index_runs_no_code_of_it(tiny_policy_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, START, tiny_policy_folder, keep=2)
    index = path / "tensors" / ".metadata"
    size = index.stat().st_size
    index.write_bytes(pickle.dumps(Hostile()).ljust(size, b"\0"))
    with pytest.raises(CheckpointError, match="not part of an index"):
        checkpoint.restore(path, ppo)
    assert not Path("ran").exists()


def test_an_interrupted_save_leaves_the_checkpoint_before(tiny_policy_folder, tmp_path, monkeypatch):
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, START, tiny_policy_folder, keep=2)

    def full_disk(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PartWriter, "write_data", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, ppo, LearnerHistory(0, 1, 0, {}, SeqSet()), tiny_policy_folder, keep=2)
    assert checkpoint.complete_checkpoints(tmp_path) == [path]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_checkpoint_without_its_history_is_none(tiny_policy_folder, tmp_path):
    path = checkpoint.save(tmp_path, ppo_of(tiny_policy_folder, GROUP), START, tiny_policy_folder, keep=2)
    (path / "history.json").unlink()
    assert checkpoint.complete_checkpoints(tmp_path) == []


def test_a_checkpoint_of_an_earlier_release_is_refused_with_what_to_do(tiny_policy_folder, tmp_path):
    former = tmp_path / "v000003"
    shutil.copytree(tiny_policy_folder, former)
    (former / "learner.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"{former} was written by an earlier release.* model\.path"):
        checkpoint.restore(former, ppo_of(tiny_policy_folder, GROUP))


def test_a_checkpoint_becomes_a_model_that_can_be_asked(tiny_policy_folder, tmp_path):
    """Configuration, tokenizer and chat template are the policy's own, and the weights are the learner's."""
    template = tmp_path / "model"
    shutil.copytree(tiny_policy_folder, template)
    (template / "pytorch_model.bin").write_bytes(b"old")
    ppo = ppo_of(template, GROUP)
    ppo.step(batch_of(ppo), version=0, seed=3)
    folder = exported(checkpoint.save(tmp_path, ppo, START, template, keep=2), tmp_path / "cache")
    messages = [{"role": "user", "content": "2+2?"}]
    ours, theirs = (load_tokenizer(each).apply_chat_template(messages) for each in (folder, template))
    assert ours == theirs
    assert not (folder / "pytorch_model.bin").exists()
    assert shapes_of(folder) == shapes_of(template)
    for name, tensor in load_causal_lm(folder).state_dict().items():
        assert torch.equal(tensor, ppo.policy.state_dict()[name])
