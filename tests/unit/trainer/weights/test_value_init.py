"""A value model that starts from a reward model says what that model says."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_model import save_tiny_model
from support.trajectories import trajectory
from transformers import LlamaForSequenceClassification

from trainer.step.batch import pack_batch
from trainer.weights.value_init import ValueInitError, scalar_head, value_model_from
from workers.models.chat import load_tokenizer


@pytest.fixture(scope="module")
def vocabulary(tiny_policy_folder):
    return len(load_tokenizer(tiny_policy_folder))


def save_reward_model(policy_folder, folder, labels):
    torch.manual_seed(3)
    model = LlamaForSequenceClassification.from_pretrained(policy_folder, num_labels=labels, dtype=torch.float32)
    model.save_pretrained(folder)
    return model.eval()


def test_values_are_the_rewards_of_what_was_written_so_far(tiny_policy_folder, tmp_path, vocabulary):
    reward_model = save_reward_model(tiny_policy_folder, tmp_path, labels=1)
    prompt, answer = [4, 5], [7, 8, 9]
    row = pack_batch([[trajectory(prompt, answer)]], 64).rows[0]
    found = value_model_from(tmp_path, vocabulary)(row, None)
    with torch.no_grad():
        expected = [
            float(reward_model(input_ids=torch.tensor([prompt + answer[:length]])).logits[0, 0]) for length in range(3)
        ]
    torch.testing.assert_close(found.detach(), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_a_language_model_has_no_head_and_starts_at_zero(tiny_policy_folder, vocabulary):
    assert scalar_head(tiny_policy_folder) is None
    row = pack_batch([[trajectory([4], [7, 8])]], 64).rows[0]
    assert value_model_from(tiny_policy_folder, vocabulary)(row, None).tolist() == [0.0, 0.0]


def test_a_classifier_of_several_labels_is_refused(tiny_policy_folder, tmp_path, vocabulary):
    save_reward_model(tiny_policy_folder, tmp_path, labels=3)
    with pytest.raises(ValueInitError, match="one label"):
        value_model_from(tmp_path, vocabulary)


def test_a_reward_model_whose_head_is_not_found_is_refused(tiny_policy_folder, tmp_path, vocabulary):
    save_reward_model(tiny_policy_folder, tmp_path, labels=1)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["reward_head.weight"] = tensors.pop("score.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueInitError, match="save it again"):
        value_model_from(tmp_path, vocabulary)


def test_another_tokenizer_is_refused(tmp_path, vocabulary):
    folder = save_tiny_model(tmp_path, seed=1)
    with pytest.raises(ValueInitError, match="the policy's tokenizer"):
        value_model_from(folder, vocabulary + 1)
