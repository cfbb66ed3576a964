"""Combinations of the learner's options that cannot work say so when they load."""

import pytest
from pydantic import ValidationError

from infra.settings.learner import LearnerSettings
from infra.settings.load import load
from infra.settings.sources import InvalidSettingsError

GROUP = {"advantage": "group", "value": {"kind": "none"}}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"value": {"kind": "none"}}, "needs values"),
        (GROUP | {"value": {"kind": "none", "pretrain_steps": 3}}, "pretrain_steps trains a value model"),
        ({"value": {"kind": "head", "path": "rm"}}, "value.path"),
        (GROUP | {"objective": {"weight": "vtrace"}}, "needs learner.advantage = 'gae'"),
        (GROUP | {"lambda_alpha": 0.05}, "a lambda of GAE"),
        ({"objective": {"weight": "icepop", "proximal": "behaviour"}}, "set proximal to 'recomputed'"),
        ({"objective": {"weight": "vtrace", "ratio": "sequence"}}, "needs objective.ratio = 'token'"),
        ({"objective": {"weight_low": 2.0, "weight_high": 1.0}}, "every token is rejected"),
        ({"objective": {"dual_clip": 0.5}}, "bounds ratios above 1"),
        ({"objective": {"average": "constant"}}, "need each other"),
        ({"objective": {"average_tokens": 9}}, "need each other"),
        ({"param_dtype": "bfloat16", "processes": 2}, "is for one process"),
        ({"publish_to": "runs/shared"}, "publish_to = 'runs/shared' is not a URL"),
        ({"lora": {"rank": 513}}, "less than or equal to 512"),
        ({"kl": {"apply_to": "loss", "estimator": "k1"}}, "gradient of zero"),
        ({"kl": {"apply_to": "reward", "importance_weighted": True}}, "apply_to = 'loss'"),
    ],
)
def test_learner_settings_that_cannot_work_are_refused(values, why):
    with pytest.raises(ValidationError, match=why):
        LearnerSettings.model_validate(values)


def test_the_error_names_the_section_and_no_python(tmp_path):
    recipe = tmp_path / "wrong.toml"
    recipe.write_text("[learner.objective]\ndual_clip = 0.5\n")
    with pytest.raises(InvalidSettingsError) as error:
        load(str(recipe))
    assert str(error.value).startswith(f"learner.objective ({recipe}:1): objective.dual_clip bounds ratios above 1")
    assert "Value error" not in str(error.value)
    assert "{" not in str(error.value)


@pytest.mark.parametrize("base", ["", "demo,"])
@pytest.mark.parametrize("name", ["grpo", "dapo", "gspo", "reinforce-plus-plus", "vapo"])
def test_algorithms_load_alone_and_over_a_recipe_of_sizes(base, name):
    """They say the algorithm and nothing else: every other value is the base's."""
    found = load(base + name)
    assert (found.settings.learner.value.kind == "none") == (name != "vapo")
    below = load(base.rstrip(",") or None)
    changed = {path for path, source in found.sources.items() if source != below.sources[path]}
    changed -= {"run.recipe"}
    assert changed
    assert all(path.startswith("learner.") for path in changed)
    assert all(f"{name}.toml:" in found.sources[path] for path in changed)


def test_a_later_recipe_wins_and_an_unknown_one_is_named():
    assert load("demo,gspo").settings.learner.clip_low == 3e-4
    assert load("gspo,demo-value").settings.learner.advantage == "gae"
    with pytest.raises(InvalidSettingsError, match=r"gpro: no such file.*grpo"):
        load("demo,gpro")
