"""Training a judge from triples: what it is fitted on, and what its report measures."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_model import save_tiny_judge_model

from streams.messages import Question
from trainer.reward_models.hard_negatives import NegativeKind
from trainer.reward_models.judge_training import (
    JudgeTrainingSettings,
    NoTriplesError,
    in_both_orders,
    is_held_out,
    train_judge,
    training_groups,
)
from trainer.reward_models.preferences import PreferencePair
from trainer.reward_models.triples import LabelledCandidate, of_pair
from trainer.supervised.fit import FitSettings
from trainer.supervised.genrm import JudgeFitSettings

PLAIN = JudgeTrainingSettings(negatives=(), vary_form=False, rounds=1, heldout_share=0.0)
FIT = JudgeFitSettings(fit=FitSettings(steps=0, learning_rate=3e-3, autocast=False), groups=4)


def facts(count: int) -> list[LabelledCandidate]:
    """The right answer says ok, whatever the question."""
    return [
        LabelledCandidate(Question(prompt=f"Is {number} ok?", ground_truth="ok"), text, label, "facts")
        for number in range(count)
        for text, label in ((f"ok {number}", 1.0), (f"no {number}", 0.0))
    ]


def compared(response: str, reference: str, label: float) -> LabelledCandidate:
    return LabelledCandidate(Question(prompt="Write.", references=(reference,)), response, label)


def test_both_orders_of_a_comparison_are_shown_once_each() -> None:
    one = compared("good", "bad", 0.8)
    both = in_both_orders([one])
    assert [(c.response, c.question.references, round(c.label, 6)) for c in both] == [
        ("good", ("bad",), 0.8),
        ("bad", ("good",), 0.2),
    ]
    pair = of_pair(PreferencePair(({"role": "user", "content": "Write."},), "good", "bad"))
    assert in_both_orders(pair) == list(pair)
    assert in_both_orders(facts(3)) == facts(3)


def test_groups_are_those_of_the_file_and_more_rounds_of_them() -> None:
    plain = training_groups(facts(3), PLAIN)
    assert [len(group.triples) for group in plain] == [2, 2, 2]
    settings = replace(PLAIN, negatives=(NegativeKind.ECHO,), per_group=2, vary_form=True, rounds=2)
    more = training_groups(facts(3), settings)
    assert [group.question for group in more] == [group.question for group in plain] * 2
    assert [len(group.triples) for group in more] == [4] * 6
    assert more[:3] != more[3:]
    assert more == training_groups(facts(3), settings)


def test_a_question_is_held_out_whole() -> None:
    settings = replace(PLAIN, heldout_share=0.3)
    drawn = {}
    for one in facts(100):
        drawn.setdefault(one.question.prompt, set()).add(is_held_out(one, settings))
    assert all(len(own) == 1 for own in drawn.values())
    assert 15 < sum(own == {True} for own in drawn.values()) < 45


def test_a_trained_judge_is_right_on_held_out_questions(tmp_path: Path) -> None:
    tiny = save_tiny_judge_model(tmp_path / "tiny")
    settings = replace(PLAIN, fit=replace(FIT, fit=replace(FIT.fit, steps=60)), heldout_share=0.2)
    report = train_judge(tiny, facts(30), tmp_path / "judge", settings)
    assert report.heldout is not None
    assert report.heldout.overall.accuracy > 0.9
    assert set(report.heldout.domains) == {"facts"}
    assert report.last_loss < report.first_loss
    assert (tmp_path / "judge" / "model.safetensors").is_file()


def test_an_adapter_is_merged_into_its_layers_and_leaves_the_rest(tmp_path: Path) -> None:
    tiny = save_tiny_judge_model(tmp_path / "tiny")
    settings = replace(PLAIN, fit=replace(FIT, fit=replace(FIT.fit, steps=4, lora_rank=8)))
    report = train_judge(tiny, facts(8), tmp_path / "judge", settings)
    assert report.last_loss < report.first_loss
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny, tmp_path / "judge"))
    assert before.keys() == after.keys()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in after if name.endswith("_proj.weight")}


def test_without_steps_each_group_is_seen_once_per_round(tmp_path: Path) -> None:
    tiny = save_tiny_judge_model(tmp_path / "tiny")
    report = train_judge(tiny, facts(6), tmp_path / "judge", replace(PLAIN, fit=FIT, rounds=2))
    assert report.steps == 3
    assert report.heldout is None


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    tiny = save_tiny_judge_model(tmp_path / "tiny")
    with pytest.raises(NoTriplesError, match="0 of 0 are held out"):
        train_judge(tiny, [], tmp_path / "judge", PLAIN)
