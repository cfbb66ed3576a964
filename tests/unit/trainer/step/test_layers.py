import pytest
import torch
from support.ppo_cases import GROUP, changed, drawn_batch, ppo_of

from infra.settings.learner import LoraSettings
from trainer.step.language_models import load_causal_lm, policy_forward
from trainer.step.layers import layers_of, recompute_activations
from trainer.weights.policy_io import load_policy


def gradients(policy, batch):
    calls = []
    handles = [layer.mlp.register_forward_pre_hook(lambda *_: calls.append(1)) for layer in layers_of(policy)]
    output = policy_forward(policy, batch.rows[0], entropy_gradient=True, logits_chunk_tokens=3)
    (output.logprobs_N.mean() - 0.1 * output.entropy_N.mean()).backward()
    for handle in handles:
        handle.remove()
    return len(calls), [parameter.grad for parameter in policy.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("rank", [0, 2])
def test_recomputed_activations_give_the_same_gradients(tiny_policy_folder, rank):
    policies = []
    for _ in range(2):
        torch.manual_seed(0)
        policies.append(load_policy(tiny_policy_folder, LoraSettings(rank=rank)))
    for policy in policies:
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:  # a fresh adapter's other half would have no gradient
                parameter.data.fill_(0.01)
    batch = drawn_batch(policies[0], seed=3)
    recompute_activations(policies[1])
    names = [list(policy.state_dict()) for policy in policies]
    (plain_calls, plain), (calls, found) = (gradients(policy, batch) for policy in policies)
    assert names[0] == names[1]
    assert not any(module.training for module in policies[1].modules())
    assert (plain_calls, calls) == (2, 4)
    assert any(bool(gradient.any()) for gradient in found)
    torch.testing.assert_close(found, plain)


def test_a_step_is_the_same(tiny_policy_folder):
    reports = []
    for recompute in (False, True):
        ppo = ppo_of(tiny_policy_folder, changed(GROUP, objective={"entropy": 0.01}))
        if recompute:
            recompute_activations(ppo.policy)
        reports.append(ppo.step(drawn_batch(ppo.policy, seed=1), version=0, seed=0))
    assert reports[0].policy_gradient_norm == pytest.approx(reports[1].policy_gradient_norm, rel=1e-5)
    assert reports[0].policy_loss == pytest.approx(reports[1].policy_loss, rel=1e-5)


def test_a_model_without_known_layers_is_refused(tiny_policy_folder):
    head = load_causal_lm(tiny_policy_folder).get_output_embeddings()
    with pytest.raises(ValueError, match=r"learner\.gradient_checkpointing"):
        recompute_activations(head)
