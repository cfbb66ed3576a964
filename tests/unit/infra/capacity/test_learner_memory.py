"""The learner's memory by formula, and the bytes of the tensors that a real learner holds."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.saved_bytes import saved_by
from transformers import AutoConfig, AutoModelForCausalLM

from infra.capacity import activations
from infra.capacity.activations import GroupTokens
from infra.capacity.hardware import Assumptions
from infra.capacity.learner_memory import activation_bytes, learner_memory, number_types
from infra.capacity.model_shape import shape_of, shape_of_config
from infra.capacity.rows import FullRow, row_sizes
from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from trainer.step.batch import pack_batch
from trainer.step.language_models import autocast, load_causal_lm, policy_forward
from trainer.step.trajectory import Trajectory
from trainer.weights.build_models import build_ppo
from workers.models import packed_attention, shared_prefix

WITHIN = 0.15
SIZES = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPS = [GroupTokens(64, 960), GroupTokens(32, 100, 8), GroupTokens(64, 1500, 2), GroupTokens(900, 300, 3)]
"""One response under a mask; short ones in shared blocks; causal ones without a mask; a prompt of most tokens."""


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    @cache
    def folder(family):
        path = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SIZES)).float().save_pretrained(path)
        return path

    return folder


def batch_of(group, groups=1):
    draw = np.random.default_rng(0)

    def ids(count):
        return draw.integers(3, SIZES["vocab_size"], count, np.int32)

    members = []
    for _ in range(groups):
        prompt = ids(group.prompt)
        members.append([trajectory(prompt, ids(group.response), index) for index in range(group.responses)])
    return pack_batch(members, groups * group.total)


def trajectory(prompt, tokens, index):
    count = len(tokens)
    made, logprobs = np.ones(count, np.bool_), np.full(count, -6.0, np.float32)
    return Trajectory(prompt, tokens, made, logprobs, np.zeros(count, np.int32), float(index % 2), 1.0, "d")


def test_the_limits_are_those_of_the_attention():
    names = ("_MASK_ELEMENTS", "_SCORE_ELEMENTS", "_CAUSAL_WASTE")
    assert [getattr(activations, name) for name in names] == [getattr(packed_attention, name) for name in names]
    assert activations._BLOCK_TOKENS == shared_prefix._BLOCK_TOKENS


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("changes", [{}, {"autocast": False}, {"param_dtype": "bfloat16"}], ids=str)
def test_activations_are_what_a_forward_pass_saves(changes, group, folder_of):
    compare_activations(folder_of("llama"), changes, group)


@pytest.mark.parametrize("family", ["qwen3", "phi3", "granite", "olmo2", "gemma2"])
def test_activations_of_other_families(family, folder_of):
    compare_activations(folder_of(family), {}, GROUPS[0])


def compare_activations(folder, changes, group):
    settings = LearnerSettings(value={"kind": "none"}, advantage="group", logits_chunk_tokens=64, **changes)
    for checkpointing in (False, True):
        settings = settings.model_copy(update={"gradient_checkpointing": checkpointing})
        ppo = build_ppo(Settings(learner=settings), folder)
        [row] = batch_of(group).rows
        with saved_by(ppo.policy) as saved, autocast(enabled=settings.autocast):
            policy_forward(ppo.policy, row, logits_chunk_tokens=64)
        types = number_types(settings, on_gpu=False)
        shape = shape_of(folder)
        expected = activation_bytes([shape], settings, types, FullRow(group, 1))
        if checkpointing:  # the one layer that is whole is whole in the backward pass
            expected -= round(group.total * activations.kept_per_token(shape, types, group))
        elif settings.autocast and settings.param_dtype == "float32":
            expected += 2 * shape.matrix_parameters  # the copies that the layers' products keep
        assert expected == pytest.approx(saved.total, rel=WITHIN), (checkpointing, saved.total)


STATES = {
    "value model": {},
    "value head": {"value": {"kind": "head"}},
    "bfloat16": {"param_dtype": "bfloat16"},
    "without masters": {"param_dtype": "bfloat16", "fp32_masters": False},
    "adapter": {"lora": {"rank": 4}, "value": {"kind": "head"}},
    "reference": {"kl": {"apply_to": "loss"}, "advantage": "group", "value": {"kind": "none"}},
}


@pytest.mark.parametrize("changes", STATES.values(), ids=STATES)
def test_states_are_the_tensors_of_a_learner_after_a_step(changes, folder_of):
    folder = folder_of("llama")
    settings = Settings(learner={**changes, "warmup_steps": 0})
    ppo = build_ppo(settings, folder)
    held = []
    ppo.before_update = lambda: held.append(gradient_bytes(ppo.policy))
    batch = batch_of(GroupTokens(8, 8, 4), groups=2)
    ppo.step(batch, 0, 0)
    shape = shape_of(folder)
    planned = learner_memory(shape, shape, settings.learner, row_sizes(settings, Assumptions()), on_gpu=False)
    assert planned.weights == pytest.approx(bytes_of(ppo.policy.parameters()), rel=0.01)
    masters = 4 * shape.parameters if planned.gradients > 2 * planned.weights else 0  # float32, beside bfloat16's own
    assert planned.gradients == pytest.approx(held[0] + masters, rel=0.01)
    assert planned.optimizer == pytest.approx(optimizer_bytes(ppo.policy_optimizer), rel=0.01)
    value = 0 if ppo.value is None else bytes_of(ppo.value.parameters())
    if value:
        trained = 3 * value if planned.gradients > 2 * planned.weights else value
        value += trained + optimizer_bytes(ppo.value_optimizer)
    assert planned.value_model == pytest.approx(value, rel=0.01)
    reference = 0 if ppo.reference is None else bytes_of(ppo.reference.parameters())
    assert planned.reference == reference


def bytes_of(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def gradient_bytes(model):
    return bytes_of(parameter.grad for parameter in model.parameters() if parameter.grad is not None)


def optimizer_bytes(optimizer):
    """Moments, and the masters that are not the weights themselves."""
    moments = [entry[name] for entry in optimizer._adamw.state.values() for name in ("exp_avg", "exp_avg_sq")]
    return bytes_of([*moments, *(master for _, master in optimizer._pairs())])


def test_policy_and_value_model_keep_theirs_at_the_same_time(folder_of):
    folder, settings = folder_of("llama"), LearnerSettings(logits_chunk_tokens=64)
    ppo = build_ppo(Settings(learner=settings), folder)
    group = GroupTokens(32, 100, 4)
    [row] = batch_of(group).rows
    plan = SimpleNamespace(value_only=False)
    with saved_by(ppo.policy, ppo.value) as saved, autocast(enabled=True):
        kept = ppo._policy_output(row, plan), ppo.value(row, None)
    shape = shape_of(folder)
    expected = activation_bytes([shape, shape], settings, number_types(settings, on_gpu=False), FullRow(group, 1))
    assert kept
    assert expected + 4 * shape.matrix_parameters == pytest.approx(saved.total, rel=WITHIN)


@pytest.mark.parametrize("chunk", [0, 64])
def test_logits_are_those_of_a_chunk_and_their_gradient(chunk, folder_of):
    folder = folder_of("llama")
    model, group = load_causal_lm(folder), GroupTokens(8, 100, 2)
    [row] = batch_of(group).rows
    largest = []
    model.get_output_embeddings().register_forward_hook(lambda _, __, made: largest.append(made.nbytes))
    with autocast(enabled=True):
        policy_forward(model, row, logits_chunk_tokens=chunk).logprobs_N.sum().backward()
    types = number_types(LearnerSettings(), on_gpu=False)
    expected = activations.logit_bytes(shape_of(folder), types, len(row.targets_N), chunk)
    assert expected == 2 * max(largest)


def test_processes_divide_states_and_not_activations():
    shape = shape_of_config(AutoConfig.for_model("llama", **SIZES))
    rows = row_sizes(Settings(), Assumptions())
    one, four = (learner_memory(shape, shape, LearnerSettings(processes=processes), rows) for processes in (1, 4))
    for part in ("weights", "gradients", "optimizer", "value_model"):
        assert getattr(four, part) == pytest.approx(getattr(one, part) / 4, abs=4)
    assert (one.activations, one.logits) == (four.activations, four.logits)
    assert one.gathered == 0 < four.gathered
