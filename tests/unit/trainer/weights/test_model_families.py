"""Every family trains on its own distribution and is published as its engine loads it, or is refused."""

import logging
from pathlib import Path

import pytest
import torch
from support.model_families import FAMILIES, PACKED, SEPARATE, save_family
from support.trajectories import trajectory

from trainer.step.batch import pack_batch
from trainer.step.language_models import load_causal_lm, policy_forward
from trainer.weights.policy_io import own_tensors
from trainer.weights.publish import Publisher
from trainer.weights.weight_files import WeightNamesError, require_template_shapes
from workers.engines.weights import load_in_place, shapes_of
from workers.models import packed_attention, packed_model
from workers.models.packed_model import ModelMismatchError, is_packable

PAGE = Path(__file__).parents[4] / "trainer" / "README.md"
MEMBERS = [
    [trajectory([7, 8, 9, 10, 11], [*range(12, 40)]), trajectory([7, 8, 9, 10, 11], [50, 51], temperature=0.7)],
    [trajectory([4, 5], [60, 61, 62, 63])],
]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    return request.param, save_family(request.param, tmp_path_factory.mktemp("family"))


def own_logprobs(model, members):
    """Log-probs of each response by the model's own forward pass, as its authors wrote it."""
    model.set_attn_implementation("eager")
    found = []
    for member in (member for group in members for member in group):
        ids = torch.tensor([[*member.prompt, *member.tokens]])
        logprobs = torch.log_softmax(model(ids, use_cache=False).logits[0].float() / member.temperature, -1)
        where = torch.arange(len(member.prompt), ids.shape[1])
        found.append(logprobs[where - 1, ids[0, where]])
    return torch.cat(found)


def test_it_trains_on_its_own_distribution(family):
    """Responses exceed the family's window; gradients are those of the own pass, too."""
    name, folder = family
    model = load_causal_lm(folder)
    assert is_packable(model) == (name in PACKED)
    row = pack_batch(MEMBERS, packed_row_tokens=64).rows[0]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = policy_forward(model, row).logprobs_N
    gradients = torch.autograd.grad(found.sum(), parameters, allow_unused=True)
    expected = own_logprobs(model, MEMBERS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    own_gradients = torch.autograd.grad(expected.sum(), parameters, allow_unused=True)
    for ours, own in zip(gradients, own_gradients, strict=True):
        if own is not None:
            scale = max(1.0, float(own.abs().max()))
            torch.testing.assert_close(ours / scale, own / scale, rtol=0, atol=1e-3)


def test_what_is_published_is_what_its_engine_loads(family, tmp_path):
    _, folder = family
    model = load_causal_lm(folder)
    require_template_shapes(model, own_tensors(model), folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    publisher = Publisher(folder=tmp_path, template=folder, run_id="r", dtype=torch.float32, keep=1)
    version = Path(publisher.publish(model, 0, 1).uri)
    assert shapes_of(version) == shapes_of(folder)
    engine = load_causal_lm(folder)
    load_in_place(engine, version)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(engine.state_dict()[name], tensor, msg=name)


def test_the_page_lists_every_family():
    page = PAGE.read_text()
    for names, how in ((PACKED, "one packed pass"), (SEPARATE, "one pass per response")):
        for name in names:
            assert any(f"`{name}`" in line and how in line for line in page.splitlines()), name


@pytest.fixture
def llama(tmp_path):
    return save_family("llama", tmp_path)


def test_a_model_with_a_head_of_its_own_is_refused(monkeypatch, llama):
    """A family that changes its logits in a way that nobody told us would do this."""
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def doubled(self, *arguments, **options):
        output = forward(self, *arguments, **options)
        output.logits = 2 * output.logits
        return output

    monkeypatch.setattr(LlamaForCausalLM, "forward", doubled)
    with pytest.raises(ModelMismatchError, match=r"LlamaForCausalLM: log-probs .* differ by \d.* nats"):
        load_causal_lm(llama)


@pytest.mark.parametrize("name", ["mistral", "gemma3_text", "qwen2 (window)"])
def test_a_window_that_is_not_applied_is_noticed_however_wide(monkeypatch, tmp_path, caplog, name):
    """Short texts do not reach a real model's window; the check narrows it."""
    folder = save_family(name, tmp_path)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"sliding_window": 8', '"sliding_window": 4096'))
    attend = packed_attention.packed_attention

    def blind(*arguments, packed_row=None, **options):
        if packed_row is not None:
            options.pop("sliding_window", None)
        return attend(*arguments, packed_row=packed_row, **options)

    monkeypatch.setattr(packed_attention, "packed_attention", blind)
    with caplog.at_level(logging.WARNING):
        model = load_causal_lm(folder)
    assert not is_packable(model)
    assert "packed rows differ from its own forward pass" in caplog.text
    assert model.config.sliding_window == 4096


def test_keywords_of_an_unknown_attention_lead_to_separate_passes(monkeypatch, llama, caplog):
    monkeypatch.setattr(packed_attention, "_APPLIED", set())
    monkeypatch.setattr(packed_model, "_WINDOW", 4)
    with caplog.at_level(logging.WARNING):
        model = load_causal_lm(save_family("mistral", llama / "mistral"))
    assert not is_packable(model)
    assert "attends with" in caplog.text


def test_a_tensor_that_the_files_do_not_have_is_named(llama, tmp_path):
    model = load_causal_lm(save_family("qwen3", tmp_path / "other"))
    with pytest.raises(WeightNamesError, match=r"would publish model.layers.0.self_attn.k_norm.weight as \(8,\)"):
        require_template_shapes(model, own_tensors(model), llama)
