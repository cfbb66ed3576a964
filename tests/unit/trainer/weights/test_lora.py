import pytest
import torch
from safetensors.torch import load_file
from support.ppo_cases import GROUP, VALUE, batch_of, mean_logprob

from infra.settings.learner import LoraSettings
from streams.messages import WeightsKind
from trainer.seqset import SeqSet
from trainer.step.language_models import ValueModel, load_causal_lm
from trainer.step.ppo import PPO
from trainer.weights import checkpoint
from trainer.weights.checkpoint import CheckpointError
from trainer.weights.export import exported
from trainer.weights.history import LearnerHistory
from trainer.weights.policy_io import load_policy, own_tensors
from trainer.weights.publish import Publisher
from workers.models.model_files import ADAPTER_CONFIG, ADAPTER_FILE

LORA = LoraSettings(rank=4, alpha=8)
HEAD = VALUE.model_copy(update={"value": VALUE.value.model_copy(update={"kind": "head"}), "lora": LORA})


def ppo_of(template, settings):
    torch.manual_seed(0)
    policy = load_policy(template, settings.lora)
    value = ValueModel(policy.config.hidden_size, None) if settings.value.kind == "head" else None
    return PPO(policy, value, settings)


def adapter(policy):
    return {name: tensor.clone() for name, tensor in policy.state_dict().items() if "lora_" in name}


def rest(policy):
    return {name: tensor.clone() for name, tensor in policy.state_dict().items() if "lora_" not in name}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_a_fresh_adapter_changes_nothing(tiny_policy_folder):
    plain, policy = load_causal_lm(tiny_policy_folder), load_policy(tiny_policy_folder, LORA)
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(plain(ids).logits, policy(ids).logits)
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert 0 < trained < 0.1 * sum(p.numel() for p in plain.parameters())


@pytest.mark.parametrize("settings", [GROUP.model_copy(update={"lora": LORA}), HEAD])
def test_only_the_adapter_learns(tiny_policy_folder, settings):
    ppo = ppo_of(tiny_policy_folder, settings)
    batch = batch_of(ppo)
    before, frozen, moving = mean_logprob(ppo, batch, 1.0), rest(ppo.policy), adapter(ppo.policy)
    for version in range(2):
        ppo.step(batch, version=version, seed=0)
    assert mean_logprob(ppo, batch, 1.0) > before
    assert same(rest(ppo.policy), frozen)
    assert not any(torch.equal(tensor, moving[name]) for name, tensor in adapter(ppo.policy).items())


def test_a_restored_adapter_takes_the_same_step_bit_for_bit(tiny_policy_folder, tmp_path):
    ppo = ppo_of(tiny_policy_folder, HEAD)
    batch = batch_of(ppo)
    ppo.step(batch, version=0, seed=3)
    path = checkpoint.save(tmp_path, ppo, LearnerHistory(0, 1, 4, {}, SeqSet()), tiny_policy_folder, keep=2)
    folder = exported(path, tmp_path / "cache")
    assert {file.name for file in folder.iterdir()} == {ADAPTER_FILE, ADAPTER_CONFIG}
    assert same(load_file(folder / ADAPTER_FILE), own_tensors(ppo.policy))
    expected = ppo.step(batch, version=1, seed=3)
    again = ppo_of(tiny_policy_folder, HEAD)
    checkpoint.restore(path, again)
    found = again.step(batch, version=1, seed=3)
    assert (found.policy_loss, found.value_loss) == (expected.policy_loss, expected.value_loss)
    assert same(again.policy.state_dict(), ppo.policy.state_dict())


def test_the_same_weights_make_the_same_files(tiny_policy_folder, tmp_path):
    announced = []
    for number in range(2):
        torch.manual_seed(0)
        policy = load_policy(tiny_policy_folder, LORA)
        publisher = Publisher(tmp_path / str(number), tiny_policy_folder, "r", torch.bfloat16, keep=2)
        announced.append(publisher.publish(policy, 0, 0))
    assert announced[0].kind is WeightsKind.ADAPTER
    assert set(announced[0].files) == {ADAPTER_FILE, ADAPTER_CONFIG}
    assert announced[0].files == announced[1].files


@pytest.mark.parametrize(("saved", "wanted"), [(LORA, LoraSettings()), (LoraSettings(), LORA)])
def test_a_checkpoint_of_the_other_kind_is_refused(tiny_policy_folder, tmp_path, saved, wanted):
    ppo = ppo_of(tiny_policy_folder, GROUP.model_copy(update={"lora": saved}))
    path = checkpoint.save(tmp_path, ppo, LearnerHistory(0, 1, 4, {}, SeqSet()), tiny_policy_folder, keep=2)
    again = ppo_of(tiny_policy_folder, GROUP.model_copy(update={"lora": wanted}))
    with pytest.raises(CheckpointError, match=r"learner\.lora"):
        checkpoint.restore(path, again)


def test_an_adapter_of_another_rank_is_refused(tiny_policy_folder, tmp_path):
    ppo = ppo_of(tiny_policy_folder, HEAD)
    path = checkpoint.save(tmp_path, ppo, LearnerHistory(0, 1, 4, {}, SeqSet()), tiny_policy_folder, keep=2)
    again = ppo_of(tiny_policy_folder, HEAD.model_copy(update={"lora": LoraSettings(rank=2)}))
    with pytest.raises(CheckpointError, match=r"lora_A.weight is \(2, .* here, and \(4, "):
        checkpoint.restore(path, again)


def test_target_modules_are_those_that_are_named(tiny_policy_folder):
    settings = LoraSettings(rank=2, target_modules=("q_proj", "v_proj"))
    names = adapter(load_policy(tiny_policy_folder, settings))
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == {"q_proj", "v_proj"}
    with pytest.raises(ValueError, match="no_such_layer"):
        load_policy(tiny_policy_folder, LoraSettings(rank=2, target_modules=("no_such_layer",)))
