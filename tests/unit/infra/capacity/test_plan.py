"""A plan refuses exactly what cannot fit, and the settings that it names mend it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from transformers import AutoConfig

from infra.capacity.capacity_plan import make_plan
from infra.capacity.hardware import GIB, AssumptionError, Assumptions, Hardware
from infra.capacity.mends import Change, changed, learner_mends
from infra.capacity.model_shape import shape_of_config
from infra.capacity.shortages import Models
from infra.settings.tree import Settings

QWEN3_4B = {
    "vocab_size": 151_936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40_960,
    "tie_word_embeddings": True,
}
LONG = {
    "topics": {"partitions": 64},
    "rollout": {
        "engine": {"kind": "vllm", "max_running": 512, "max_model_tokens": 32_768},
        "sampling": {"max_new_tokens": 16_384},
    },
    "learner": {"packed_row_tokens": 32_768, "processes": 4, "gradient_checkpointing": True},
}


@pytest.fixture(scope="module")
def models():
    shape = shape_of_config(AutoConfig.for_model("qwen3", **QWEN3_4B))
    assert shape.parameters == 4_022_468_096  # as its model card says: 4.0B
    return Models(shape, shape)


def with_learner(**changes):
    return Settings.model_validate(LONG | {"learner": LONG["learner"] | changes})


def plan(settings, models, gpus=8, memory=80, **assumed):
    return make_plan(settings, models, Hardware(gpus, memory * GIB), Assumptions(**assumed))


def test_what_fits_is_not_refused(models):
    made = plan(with_learner(), models)
    assert made.shortages == ()
    assert made.learner.total <= 80 * GIB
    assert (made.learners, made.engines, made.partitions) == (4, 4, 16)


def test_one_setting_that_mends_it_is_named(models):
    [shortage] = plan(with_learner(gradient_checkpointing=False), models).shortages
    assert "set learner.gradient_checkpointing = true" in shortage.mends
    assert str(shortage).startswith("a learner process needs ")


def test_several_settings_are_named_if_no_single_one_is_enough(models):
    [shortage] = plan(with_learner(gradient_checkpointing=False, processes=1), models).shortages
    [mend] = shortage.mends
    assert " and " in mend
    assert "learner.gradient_checkpointing = true" in mend


def test_where_no_setting_helps_it_says_so(models):
    shortages = [str(shortage) for shortage in plan(with_learner(), models, memory=2).shortages]
    assert any(text.startswith("a learner process") and text.endswith("no setting mends that") for text in shortages)
    assert any(text.startswith("an engine has 0.0 GiB for keys and values") for text in shortages)


def test_gpus_are_for_learner_and_engines(models):
    [shortage] = plan(with_learner(processes=8), models).shortages
    assert shortage.mends == ("set learner.processes to 7 or fewer", "give --gpus 9")


def test_lengths_and_sizes_that_do_not_go_together(models):
    settings = Settings.model_validate(
        LONG
        | {"topics": {"partitions": 2}, "broker": {"max_message_bytes": 100_000}}
        | {"rollout": {"engine": {"kind": "vllm"}, "sampling": {"max_new_tokens": 65_536}}}
    )
    text = "\n".join(map(str, plan(settings, models).shortages))
    for mend in (
        "set rollout.engine.max_model_tokens to 65792",
        "set rollout.sampling.max_new_tokens to 40704 or fewer",
        "set topics.partitions to 16",
        "set broker.max_message_bytes to ",
    ):
        assert mend in text


def test_one_gpu_is_shared(models):
    made = plan(with_learner(processes=1), models, gpus=1)
    assert made.shares_gpu
    assert any("is left next to the engine" in str(shortage) for shortage in made.shortages)


@pytest.mark.parametrize(
    ("assumed", "bottleneck"),
    [
        ({"gpu_terabytes": 0.001}, "engine"),
        ({"judge_seconds": 10_000}, "judge"),
        ({"learner_utilisation": 0.0001}, "learner"),
        ({"log_megabytes": 0.001}, "log"),
        ({"verdicts_per_second": 0.001}, "verifiers"),
    ],
)
def test_the_slowest_part_is_the_bottleneck(assumed, bottleneck, models):
    rates = plan(with_learner(), models, **assumed).rates
    assert rates.bottleneck == bottleneck
    assert rates.groups == getattr(rates, bottleneck)


def test_a_part_that_scores_nothing_is_no_bottleneck(models):
    assert plan(with_learner(), models, judged_share=0, judge_seconds=10**6).rates.bottleneck != "judge"
    assert plan(with_learner(), models, judged_share=1, verdicts_per_second=1e-6).rates.bottleneck != "verifiers"


def test_a_day_is_what_the_bottleneck_allows(models):
    made = plan(with_learner(), models)
    assert made.daily.groups == pytest.approx(86_400 * made.rates.groups)
    assert made.daily.steps * 8 == pytest.approx(made.daily.groups * 0.7)
    assert made.daily.log_kept == pytest.approx(14 * made.daily.log.total, rel=1e-3)


MENDS = ("logits_chunk_tokens", "gradient_checkpointing", "packed_row_tokens", "processes", "kind", "rank")


@given(st.sets(st.sampled_from(MENDS), min_size=1))
@hypothesis_settings(max_examples=40)
def test_what_is_named_is_enough_and_needed(wanted):
    """The learner fits exactly if the drawn settings have changed."""
    settings = with_learner(processes=1, logits_chunk_tokens=0, gradient_checkpointing=False)

    def fits(change):
        changed(settings, change)  # they go together
        return wanted <= {path.rpartition(".")[2] for path in change.values}

    mends = learner_mends(settings, fits, most_processes=2)
    if len(wanted) == 1:
        assert all(next(iter(wanted)) in mend for mend in mends)
        assert mends
    else:
        [mend] = mends
        assert {name for name in MENDS if f".{name} = " in mend} == wanted


def test_a_change_is_written_as_in_a_recipe():
    change = Change({"learner.gradient_checkpointing": True, "learner.value.kind": "head"})
    assert str(change) == "set learner.gradient_checkpointing = true and learner.value.kind = 'head'"


def test_figures_are_given_by_name():
    assert Assumptions.given(["prompt_tokens=512"]) == replace(Assumptions(), prompt_tokens=512)
    for wrong in ("prompts_tokens=1", "prompt_tokens", "prompt_tokens=many", "prompt_tokens=0", "judged_share=1.5"):
        with pytest.raises(AssumptionError, match="--assume"):
            Assumptions.given([wrong])
    with pytest.raises(AssumptionError, match="below 1"):
        Assumptions(filtered_share=1)
