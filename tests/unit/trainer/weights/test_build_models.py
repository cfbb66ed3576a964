"""Models of a learner, as the settings say."""

import pytest
import torch
from support.ppo_cases import settings_for
from support.tiny_model import save_tiny_judge_model

from trainer.weights.build_models import ReferenceModelError, build_ppo


def test_the_same_settings_build_the_same_weights(tiny_policy_folder, tmp_path):
    settings = settings_for(tiny_policy_folder, tmp_path, kl={"apply_to": "loss"})
    one, two = (build_ppo(settings, tiny_policy_folder) for _ in range(2))
    for name in ("policy", "value", "reference"):
        for ours, theirs in zip(getattr(one, name).parameters(), getattr(two, name).parameters(), strict=True):
            assert torch.equal(ours, theirs)
    assert not any(parameter.requires_grad for parameter in one.reference.parameters())


def test_bfloat16_holds_policy_and_trunk_and_leaves_head_and_positions(tiny_policy_folder, tmp_path):
    settings = settings_for(tiny_policy_folder, tmp_path, param_dtype="bfloat16")
    ppo = build_ppo(settings, tiny_policy_folder)
    assert {p.dtype for p in ppo.policy.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in ppo.value.trunk.parameters()} == {torch.bfloat16}
    assert ppo.value.head.weight.dtype is torch.float32
    assert all(buffer.dtype is torch.float32 for buffer in ppo.policy.buffers())


def test_a_reference_with_fewer_tokens_is_refused(tiny_policy_folder, tmp_path):
    wider = save_tiny_judge_model(tmp_path / "wider")
    settings = settings_for(wider, tmp_path, kl={"apply_to": "loss", "reference": str(tiny_policy_folder)})
    with pytest.raises(ReferenceModelError, match=r"learner\.kl\.reference .* the policy's tokenizer"):
        build_ppo(settings, wider)
