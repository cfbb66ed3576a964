"""Parameters are counted exactly, for every family, without a weight."""

import json

import pytest
from support.model_families import FAMILIES, save_family
from transformers import AutoModelForCausalLM

from infra.capacity.model_shape import ModelConfigError, adapter_parameters, shape_of, value_trunk_parameters
from infra.settings.learner import LoraSettings
from trainer.step.language_models import ValueModel
from trainer.weights import lora


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_loaded_model(family, tmp_path):
    folder = save_family(family, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    shape = shape_of(folder)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert 0 < shape.layer_parameters < shape.parameters
    assert shape.outer_parameters + shape.layers * shape.layer_parameters >= shape.parameters
    assert shape.active_parameters <= shape.matrix_parameters
    assert shape == shape_of(folder / "config.json")


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_value_model_has_the_trunk_and_a_scalar_head(family, tmp_path):
    folder = save_family(family, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    value = ValueModel(model.config.hidden_size, model.base_model)
    assert value_trunk_parameters(shape_of(folder)) == sum(parameter.numel() for parameter in value.parameters())


@pytest.mark.parametrize("modules", [(), ("q_proj", "down_proj")])
def test_an_adapter_has_the_parameters_that_peft_gives_it(modules, tmp_path):
    folder = save_family("llama", tmp_path)
    settings = LoraSettings(rank=4, target_modules=modules)
    adapted = lora.adapt(AutoModelForCausalLM.from_pretrained(folder), settings, folder)
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert adapter_parameters(shape_of(folder), 4, modules) == trained


def test_of_experts_a_token_uses_those_that_are_chosen(tmp_path):
    shape = shape_of(save_family("qwen3_moe", tmp_path))
    hidden, expert, layers = 32, 16, 2
    unused = 2 * layers * 3 * hidden * expert  # two of four experts, each of three matrices
    assert shape.active_parameters == shape.matrix_parameters - unused
    assert shape.feed_forward == 2 * expert


def test_what_is_no_model_is_refused_with_its_path(tmp_path):
    with pytest.raises(ModelConfigError, match="does not exist; give a folder"):
        shape_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing-known"}))
    with pytest.raises(ModelConfigError, match="not a causal language model"):
        shape_of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(ModelConfigError, match="not a causal language model"):
        shape_of(tmp_path)
