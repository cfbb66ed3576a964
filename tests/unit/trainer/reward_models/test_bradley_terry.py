"""The Bradley-Terry fit: its loss against the formula, what it learns, and a folder that others load."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.trajectories import trajectory
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from trainer.reward_models.bradley_terry import (
    BradleyTerrySettings,
    NoPairsError,
    _backward,
    _encode,
    fit_reward_model,
    is_held_out,
    ranked_step,
)
from trainer.reward_models.preferences import RankedResponses
from trainer.step.batch import pack_batch
from trainer.supervised.fit import FitSettings
from trainer.weights.value_init import value_model_from
from workers.judges.reward_model import (
    Responses,
    RewardModel,
    RewardModelError,
    load_classifier,
    prepare_tokenizer,
)
from workers.models.chat import encode_answer, encode_chat, load_tokenizer

EXACT = FitSettings(steps=0, learning_rate=1e-3, autocast=False)
FIT = BradleyTerrySettings(fit=EXACT, batch=4, heldout_share=0.0, centering=0.0)


def ranked(prompt: str, *responses: str, pairs: tuple[tuple[int, int], ...] = ((0, 1),)) -> RankedResponses:
    return RankedResponses(({"role": "user", "content": prompt},), responses, pairs)


def polite(count: int) -> list[RankedResponses]:
    """A preference for responses that say please, whatever else they say."""
    return [ranked(f"Say {number}", f"please {number}", f"now {number}") for number in range(count)]


def prefers(model: RewardModel, groups: list[RankedResponses]) -> float:
    rewards = model.rewards([Responses(group.messages, group.responses) for group in groups])
    return sum(own[0] > own[1] for own in rewards) / len(rewards)


@pytest.fixture(scope="module")
def untrained(tiny_policy_folder: Path) -> RewardModel:
    torch.manual_seed(0)
    model = load_classifier(tiny_policy_folder, torch.float32).eval()
    return RewardModel(model, prepare_tokenizer(tiny_policy_folder, model))


GROUPS = [
    ranked("one", "a", "bb", "ccc", pairs=((0, 1), (0, 2), (1, 2))),
    ranked("two", "dd", "e"),
    ranked("three", "", "f", pairs=((1, 0),)),
]


def rewards_of(model: RewardModel) -> list[list[float]]:
    return model.rewards([Responses(group.messages, group.responses) for group in GROUPS])


@pytest.mark.parametrize("centering", [0.0, 0.3])
def test_the_loss_is_the_mean_over_prompts_of_the_mean_over_their_comparisons(untrained, centering) -> None:
    encoded, _ = _encode(untrained, GROUPS, 256)
    untrained.model.zero_grad()
    found = _backward(untrained.model, ranked_step(encoded), EXACT, centering=centering)
    means = []
    for group, rewards in zip(GROUPS, rewards_of(untrained), strict=True):
        terms = [
            math.log(1 + math.exp(rewards[worse] - rewards[better]))
            + centering * (rewards[better] + rewards[worse]) ** 2
            for better, worse in group.comparisons
        ]
        means.append(sum(terms) / len(terms))
    assert found == pytest.approx(sum(means) / len(means), rel=1e-4)


def test_the_gradient_is_that_of_separate_unpacked_conversations(untrained) -> None:
    model = untrained.model
    encoded, _ = _encode(untrained, GROUPS, 256)
    model.zero_grad()
    _backward(model, ranked_step(encoded), EXACT, centering=0.1)
    packed = {name: one.grad.clone() for name, one in model.named_parameters()}
    model.zero_grad()
    for group, tokens in encoded:
        rewards = [
            model.score(model.base_model(torch.tensor([[*tokens.prefix, *suffix]])).last_hidden_state[0, -1])[0]
            for suffix in tokens.suffixes
        ]
        for better, worse in group.comparisons:
            loss = (
                -functional.logsigmoid(rewards[better] - rewards[worse]) + 0.1 * (rewards[better] + rewards[worse]) ** 2
            )
            (loss / len(group.comparisons) / len(encoded)).backward(retain_graph=True)
    apart = {name: one.grad for name, one in model.named_parameters()}
    for name, gradient in packed.items():
        assert (gradient - apart[name]).norm() < 1e-3 * apart[name].norm(), name


@pytest.mark.parametrize(
    "how",
    [
        {"learning_rate": 1e-3},
        {"learning_rate": 1e-2, "lora_rank": 4},
        {"learning_rate": 3e-3, "upper_share": 0.5},
    ],
    ids=["full", "lora", "upper layers"],
)
def test_a_preference_is_learned_and_holds_for_new_prompts(tiny_policy_folder: Path, tmp_path: Path, how) -> None:
    settings = replace(FIT, fit=replace(EXACT, steps=40, **how), heldout_share=0.2, batch=8)
    report = fit_reward_model(tiny_policy_folder, polite(40), tmp_path, settings)
    assert report.comparisons + report.heldout_comparisons == 40
    assert report.heldout_comparisons > 2
    assert report.heldout_accuracy == 1.0
    assert report.last_loss < 0.3 < report.first_loss
    assert prefers(RewardModel.load(tmp_path, dtype="float32"), polite(60)[40:]) == 1.0


def test_without_steps_each_prompt_is_seen_once(tiny_policy_folder: Path, tmp_path: Path) -> None:
    report = fit_reward_model(tiny_policy_folder, polite(10), tmp_path, FIT)
    assert report.steps == 3


def test_the_folder_is_a_sequence_classifier_that_transformers_loads(tiny_policy_folder: Path, tmp_path: Path) -> None:
    """Its logit for a padded batch is our reward, whichever side is padded."""
    fit_reward_model(tiny_policy_folder, polite(4), tmp_path, FIT)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert (theirs.config.num_labels, theirs.config.architectures) == (1, ["LlamaForSequenceClassification"])
    tokenizer = load_tokenizer(tmp_path)
    ours = RewardModel.load(tmp_path, dtype="float32")
    for side in ("left", "right"):
        tokenizer.padding_side = side
        for group, rewards in zip(GROUPS, rewards_of(ours), strict=True):
            prompt = encode_chat(tokenizer, group.messages)
            ids = [[*prompt, *encode_answer(tokenizer, text)] for text in group.responses]
            batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
            with torch.no_grad():
                logits = theirs(**batch).logits[:, 0]
            torch.testing.assert_close(torch.tensor(rewards), logits, rtol=1e-4, atol=1e-4)


def test_the_value_model_starts_with_the_rewards(tiny_policy_folder: Path, tmp_path: Path) -> None:
    """Its value before the end token is the reward of the response."""
    fit_reward_model(tiny_policy_folder, polite(8), tmp_path, replace(FIT, fit=replace(EXACT, steps=8)))
    model = RewardModel.load(tmp_path, dtype="float32")
    messages, text = ({"role": "user", "content": "Say 3"},), "please 3"
    prompt, answer = encode_chat(model.tokenizer, messages), encode_answer(model.tokenizer, text)
    row = pack_batch([[trajectory(list(prompt), list(answer))]], 256).rows[0]
    values = value_model_from(tmp_path, len(model.tokenizer))(row, None)
    ((reward,),) = model.rewards([Responses(messages, (text,))])
    assert values[-1].item() == pytest.approx(reward, abs=1e-4)
    assert abs(reward) > 0.01


def test_a_reward_model_is_trained_on(tiny_policy_folder: Path, tmp_path: Path) -> None:
    """Its head stays: with a learning rate of nearly zero, rewards do not move."""
    fit_reward_model(tiny_policy_folder, polite(4), tmp_path / "first", FIT)
    still = replace(FIT, fit=replace(EXACT, learning_rate=1e-12), seed=9)
    fit_reward_model(tmp_path / "first", polite(4), tmp_path / "second", still)
    first, second = (rewards_of(RewardModel.load(tmp_path / name, dtype="float32")) for name in ("first", "second"))
    assert second == [pytest.approx(own, abs=1e-5) for own in first]


def test_long_conversations_are_left_out_and_counted(tiny_policy_folder: Path, tmp_path: Path) -> None:
    long = ranked("long", "x" * 400, "short", "shorter", pairs=((0, 1), (1, 2)))
    report = fit_reward_model(tiny_policy_folder, [long, *polite(3)], tmp_path, FIT)
    assert (report.comparisons, report.too_long) == (4, 1)
    with pytest.raises(NoPairsError, match="2 are longer than 10 tokens"):
        fit_reward_model(tiny_policy_folder, polite(2), tmp_path, replace(FIT, max_tokens=10))


def test_a_long_conversation_is_judged_by_its_end(untrained) -> None:
    ((whole,),) = untrained.rewards([Responses(({"role": "user", "content": "x" * 400},), ("end",))])
    ((other,),) = untrained.rewards([Responses(({"role": "user", "content": "y" * 100 + "x" * 400},), ("end",))])
    assert whole == pytest.approx(other, abs=1e-4)


def test_held_out_prompts_do_not_depend_on_the_other_prompts() -> None:
    drawn = [is_held_out(group, 0.3, 0) for group in polite(400)]
    assert 80 < sum(drawn) < 160
    assert drawn != [is_held_out(group, 0.3, 1) for group in polite(400)]
    assert not any(is_held_out(group, 0.0, 0) for group in polite(50))


def test_what_cannot_be_a_reward_model_is_refused(tiny_policy_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RewardModelError, match="train-bt"):
        RewardModel.load(tiny_policy_folder)
    AutoModelForSequenceClassification.from_pretrained(tiny_policy_folder, num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(RewardModelError, match="3 labels"):
        load_classifier(tmp_path, torch.float32)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertForSequenceClassification(BertConfig(vocab_size=9, num_labels=1, **sizes)).save_pretrained(tmp_path / "bert")
    with pytest.raises(RewardModelError, match="head `score`"):
        load_classifier(tmp_path / "bert", torch.float32)
