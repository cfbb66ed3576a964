"""The demo's best-of-N: the rubric's comparisons, and the pick by a reward model's rewards."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.demo.generate import Sample
from infra.demo.measure import rate
from infra.demo.references import KEPT, compare_with_rubric, comparisons, ranked, rewards_of
from infra.demo.splits import Split, topics
from infra.demo.tasks import DemoTask, writing
from trainer.reward_models.bradley_terry import BradleyTerrySettings, fit_reward_model
from trainer.supervised.fit import FitSettings


@pytest.fixture(scope="module")
def tasks() -> list[DemoTask]:
    return [writing(topic, "vivid") for topic in topics()[Split.TRAIN][:6]]


def rows(tasks: list[DemoTask]) -> list[list[Sample]]:
    """A good sentence, a word, and one that was cut off, on each topic."""
    return [
        [
            Sample(f"The {task.topic.name} shone brightly while tired children slept beside a quiet fire.", True, -2.0),
            Sample("word", True, -1.0),
            Sample(f"The {task.topic.name} and so", False, -1.0),
        ]
        for task in tasks
        if task.topic is not None
    ]


def test_the_rubric_prefers_what_it_scores_higher_among_finished_samples(tasks) -> None:
    found = comparisons(tasks, rows(tasks))
    assert len(found) == len(tasks)
    for task, group in zip(tasks, found, strict=True):
        assert group.messages == ({"role": "user", "content": task.prompt},)
        assert len(group.responses) == 2
        assert group.comparisons == ((0, 1),)
    alike = [[row[1], replace(row[1], text="words")] for row in rows(tasks)]
    assert comparisons(tasks, alike) == []


def test_rewards_decide_and_what_was_cut_off_is_last(tasks) -> None:
    row = rows(tasks)[0]
    assert ranked(tasks[0], row, [0.0, 1.0, 9.0]) == [row[1].text, row[0].text, row[2].text]
    assert ranked(tasks[0], row, [1.0, 0.0, 9.0])[0] == row[0].text
    assert ranked(tasks[0], row)[0] == row[0].text  # without rewards, the rubric's order
    assert len(ranked(tasks[0], [replace(row[0], text=f"One {n}.") for n in range(9)])) == KEPT


def test_picks_are_compared_with_the_rubric_over_finished_samples(tasks) -> None:
    samples = rows(tasks)
    good, word = (rate(tasks[0], samples[0][place].text) for place in (0, 1))
    picked = {task.prompt: [row[1].text] for task, row in zip(tasks, samples, strict=True)}
    found = compare_with_rubric(tasks, samples, picked)
    assert found == pytest.approx({"any": (good + word) / 2, "first": word, "best": good})


def test_a_model_fitted_on_the_comparisons_picks_as_the_rubric_does(tiny_policy_folder: Path, tmp_path, tasks) -> None:
    fit = FitSettings(steps=40, learning_rate=2e-3, autocast=False)
    settings = BradleyTerrySettings(fit, batch=6, heldout_share=0.0)
    fit_reward_model(tiny_policy_folder, comparisons(tasks, rows(tasks)), tmp_path, settings)
    rewards = rewards_of(tmp_path, tasks, rows(tasks))
    for task, row, own in zip(tasks, rows(tasks), rewards, strict=True):
        assert ranked(task, row, own)[0] == row[0].text
