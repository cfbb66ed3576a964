import json
import random
import shutil

import pytest
import torch
from test_batch import trajectory

from infra.settings.learner import LearnerSettings, ValueSettings
from streams.records import TopicPartition
from trainer import checkpoint
from trainer.batch import Trajectory, pack_batch
from trainer.checkpoint import CheckpointError, History
from trainer.models import ValueModel, load_causal_lm, policy_forward
from trainer.ppo import PPO, split_rows
from trainer.seqset import SeqSet
from workers.engines.chat import load_tokenizer

GROUP = LearnerSettings(
    advantage="group", learning_rate=1e-2, warmup_steps=0, value=ValueSettings(kind="none"), autocast=False
)
VALUE = LearnerSettings(
    advantage="gae",
    learning_rate=1e-2,
    warmup_steps=0,
    autocast=False,
    value=ValueSettings(kind="model", learning_rate=1e-2, clip=0),
)


def ppo_of(folder, settings):
    torch.manual_seed(0)
    policy = load_causal_lm(folder)
    kind = settings.value.kind
    if kind == "none":
        return PPO(policy, None, settings)
    trunk = load_causal_lm(folder).base_model if kind == "model" else None
    return PPO(policy, ValueModel(policy.config.hidden_size, trunk), settings)


def batch_of(ppo):
    """Two groups, one good and one bad answer each, with the policy's own log-probabilities."""
    plain = [
        [trajectory([1, 2, 3], [5, 6], score=1.0), trajectory([1, 2, 3], [7, 8, 9], score=0.0)],
        [trajectory([4], [10], score=0.0), trajectory([4], [11, 12], score=1.0)],
    ]
    batch = pack_batch(plain, 64)
    with torch.no_grad():
        logprobs = policy_forward(ppo.policy, batch.rows[0]).logprobs_N.tolist()
    members, start = [], 0
    for group in plain:
        members.append([])
        for t in group:
            own = tuple(logprobs[start : start + len(t.tokens)])
            start += len(t.tokens)
            members[-1].append(Trajectory(t.prompt, t.tokens, t.by_policy, own, t.versions, t.score, 1.0, "d"))
    return pack_batch(members, 8)


def mean_logprob(ppo, batch, score):
    total = []
    with torch.no_grad():
        for row in batch.rows:
            found = policy_forward(ppo.policy, row).logprobs_N
            chosen = torch.tensor([batch.trajectories[i].score == score for i in row.trajectory_N.tolist()])
            total.extend(found[chosen].tolist())
    return sum(total) / len(total)


@pytest.mark.parametrize(
    "settings", [GROUP, VALUE, VALUE.model_copy(update={"value": VALUE.value.model_copy(update={"kind": "head"})})]
)
def test_good_answers_become_likelier_and_bad_ones_less(tiny_policy_folder, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    before = mean_logprob(ppo, batch, 1.0), mean_logprob(ppo, batch, 0.0)
    report = ppo.step(batch, version=0, seed=0)
    after = mean_logprob(ppo, batch, 1.0), mean_logprob(ppo, batch, 0.0)
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert report.logprob_difference_max == pytest.approx(0, abs=1e-5)
    assert report.targets == 8


def test_values_approach_the_returns(tiny_policy_folder):
    ppo = ppo_of(tiny_policy_folder, VALUE)
    batch = batch_of(ppo)
    reports = [ppo.step(batch, version=version, seed=0) for version in range(12)]
    assert reports[-1].value_loss < 0.5 * reports[0].value_loss
    assert reports[-1].explained_variance > reports[0].explained_variance


@pytest.mark.parametrize("settings", [GROUP, VALUE])
def test_a_restored_learner_takes_the_same_step_bit_for_bit(tiny_policy_folder, tmp_path, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    ppo.step(batch, version=0, seed=3)
    history = History(0, 1, 4, {TopicPartition("scored", 1): 7}, SeqSet.of(2, [5]))
    path = checkpoint.save(tmp_path, ppo, history, tiny_policy_folder, keep=2)
    expected = ppo.step(batch, version=1, seed=3)

    assert checkpoint.latest(tmp_path) == path
    again = ppo_of(path, settings)
    assert checkpoint.restore(path, again) == history
    found = again.step(batch, version=1, seed=3)
    assert (found.policy_loss, found.value_loss) == (expected.policy_loss, expected.value_loss)
    for ours, theirs in zip(again.policy.parameters(), ppo.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_checkpoint_of_other_settings_is_refused(tiny_policy_folder, tmp_path):
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, History(0, 0, 0, {}, SeqSet()), tiny_policy_folder, keep=2)
    with pytest.raises(CheckpointError, match=r"learner\.value\.kind"):
        checkpoint.restore(path, ppo_of(tiny_policy_folder, VALUE))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tiny_policy_folder, tmp_path, content):
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, History(0, 0, 0, {}, SeqSet()), tiny_policy_folder, keep=2)
    (path / "learner.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path}: .* remove the folder"):
        checkpoint.restore(path, ppo)


def test_a_checkpoint_is_a_model_that_can_be_asked(tiny_policy_folder, tmp_path):
    """Configuration, tokenizer and chat template are the policy's own, and no other weights lie beside the new."""
    template = tmp_path / "model"
    shutil.copytree(tiny_policy_folder, template)
    (template / "pytorch_model.bin").write_bytes(b"old")
    path = checkpoint.save(tmp_path, ppo_of(template, GROUP), History(0, 0, 0, {}, SeqSet()), template, keep=2)
    messages = [{"role": "user", "content": "2+2?"}]
    ours, theirs = (load_tokenizer(folder).apply_chat_template(messages) for folder in (path, template))
    assert ours == theirs
    assert (path / "config.json").is_file()
    assert not (path / "pytorch_model.bin").exists()


def test_dropout_is_off(tiny_policy_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_policy_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.5}))
    policy, row = load_causal_lm(folder), pack_batch([[trajectory([1, 2, 3], [5, 6])]], 64).rows[0]
    assert policy.config.attention_dropout == 0.5
    assert torch.equal(policy_forward(policy, row).logprobs_N, policy_forward(policy, row).logprobs_N)


def test_an_interrupted_save_leaves_the_checkpoint_before(tiny_policy_folder, tmp_path, monkeypatch):
    ppo = ppo_of(tiny_policy_folder, GROUP)
    path = checkpoint.save(tmp_path, ppo, History(0, 0, 0, {}, SeqSet()), tiny_policy_folder, keep=2)

    def full_disk(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, ppo, History(0, 1, 0, {}, SeqSet()), tiny_policy_folder, keep=2)
    assert checkpoint.latest(tmp_path) == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("parts", [1, 2, 3, 9])
def test_mini_batches_hold_every_row_once(parts):
    members = [[trajectory([1], [2] * n)] for n in (3, 9, 4, 4, 7)]
    rows = pack_batch(members, 2).rows
    split = split_rows(rows, parts, random.Random(0))
    assert sorted(len(row.targets_N) for part in split for row in part) == [3, 4, 4, 7, 9]
    assert len(split) == min(parts, 5)
    assert all(split)
