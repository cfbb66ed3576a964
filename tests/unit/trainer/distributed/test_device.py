"""The models of a learner are on one device, and so is all that they compute."""

from contextlib import nullcontext

import pytest
import torch
from support.ppo_cases import GROUP, VALUE, batch_of, settings_for
from support.trajectories import trajectory
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.distributed.device import CPU, DeviceError, chosen_device
from trainer.step.batch import pack_batch
from trainer.step.language_models import ValueModel, device_of, policy_forward, value_forward
from trainer.weights.build_models import build_ppo
from workers.models import packed_attention
from workers.models.shared_prefix import PrefixGroup, pack

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="what is said where there is no CUDA device")
CUDA = torch.device("cuda", 0)


def test_the_cpu_can_be_asked_for_anywhere():
    assert chosen_device("cpu") == CPU


@without_cuda
def test_auto_is_the_cpu_where_nothing_else_is():
    assert chosen_device("auto") == CPU


@pytest.mark.parametrize("kind", ["auto", "cuda"])
def test_each_process_has_the_device_of_its_number(monkeypatch, kind):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert chosen_device(kind) == CUDA
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert chosen_device(kind) == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match=r"process 2 .* torch sees 2: set learner\.processes to 2 or fewer"):
        chosen_device(kind)


@without_cuda
def test_cuda_is_refused_where_there_is_none(tiny_policy_folder, tmp_path):
    settings = settings_for(tiny_policy_folder, tmp_path, device="cuda")
    with pytest.raises(DeviceError, match=r"learner\.device = 'cuda'.* set learner\.device to 'auto' or 'cpu'"):
        build_ppo(settings, tiny_policy_folder)


def test_all_models_are_built_on_the_device(tiny_policy_folder, tmp_path):
    settings = settings_for(tiny_policy_folder, tmp_path, device="cpu", kl={"apply_to": "loss"})
    ppo = build_ppo(settings, tiny_policy_folder)
    assert {device_of(model) for model in (ppo.policy, ppo.value, ppo.reference)} == {CPU}


def test_every_tensor_of_a_row_moves_to_the_device():
    row = pack([PrefixGroup([1, 2], [[3], [4, 5]]), PrefixGroup([6], [[7]])]).to(torch.device("meta"))
    tensors = [row.input_ids, row.position_ids]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.fixture
def elsewhere(monkeypatch):
    """A device that no CPU tensor may meet, as on a real one: tensors of this mode have a shape and a device and no
    values. `lazy` is the kind that every build of torch knows; autocast does not, so that there is none.
    """
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    with FakeTensorMode():
        yield torch.device("lazy", 0)


def test_what_stays_on_the_cpu_would_be_noticed(elsewhere):
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(2, device=elsewhere) + torch.ones(2)


@pytest.mark.parametrize("kind", ["none", "head", "model"])
def test_a_pass_on_an_accelerator_takes_nothing_from_the_cpu(tiny_policy_folder, elsewhere, kind):
    with elsewhere:
        policy, other = (
            AutoModelForCausalLM.from_config(
                AutoConfig.from_pretrained(tiny_policy_folder), attn_implementation=packed_attention.register()
            )
            for _ in range(2)
        )
        trunk = other.base_model if kind == "model" else None
        value = None if kind == "none" else ValueModel(policy.config.hidden_size, trunk)
    row = pack_batch([[trajectory([1, 2, 3], [5, 6]), trajectory([1, 2, 3], [7])]], 64).rows[0]
    output = policy_forward(policy, row, entropy_gradient=True)
    found = [output.logprobs_N, output.entropy_N]
    models = [policy]
    if value is not None:
        found.append(value_forward(value, row, output.hidden_ND))
        models.append(value)
    assert output.hidden_ND.device == elsewhere
    assert {tensor.device for tensor in found} == {CPU}
    (sum(found) * row.behaviour_N).sum().backward()
    gradients = [parameter.grad for model in models for parameter in model.parameters()]
    assert all(gradient is not None and gradient.device == elsewhere for gradient in gradients)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("settings", [GROUP, VALUE], ids=["group", "value"])
def test_a_step_on_an_accelerator_is_that_of_the_cpu(tiny_policy_folder, tmp_path, settings):
    reports = {}
    for device in ("cpu", "cuda"):
        learner = settings.model_dump() | {"device": device}
        ppo = build_ppo(settings_for(tiny_policy_folder, tmp_path, **learner), tiny_policy_folder)
        assert device_of(ppo.policy).type == device
        batch = batch_of(ppo)
        reports[device] = [ppo.step(batch, version=version, seed=0) for version in range(2)]
    for here, there in zip(reports["cpu"], reports["cuda"], strict=True):
        for name in ("policy_loss", "value_loss", "entropy", "policy_gradient_norm", "value_gradient_norm"):
            assert getattr(there, name) == pytest.approx(getattr(here, name), rel=1e-2, abs=1e-4), name
