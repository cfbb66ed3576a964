"""Nothing held out is trained on: no word of a passage, no topic, no pair of numbers, by the SFT, the judge or PPO."""

import itertools
import re
from collections.abc import Callable

import pytest

from infra.demo.examples import sft_examples, sft_tasks
from infra.demo.passages import RELATIONS, Passage, passages
from infra.demo.plan import Plan, Recipe
from infra.demo.prompts import HELDOUT, SOURCE_BROKEN, heldout_tasks, new_tasks, original_tasks
from infra.demo.splits import Split, load, pair_split, topics
from infra.demo.tasks import DOMAINS, MATHEMATICS, READING, DemoTask, digits, reading

TRAINED = {"sft": sft_tasks, "original": original_tasks, "new": new_tasks}


def keys(tasks: list[DemoTask]) -> set[str]:
    return set().union(*(task.keys for task in tasks))


@pytest.mark.parametrize("name", TRAINED)
def test_heldout_shares_no_key_with_anything_trained_on(name: str) -> None:
    assert keys(heldout_tasks()).isdisjoint(keys(TRAINED[name]()))


def test_original_and_new_prompts_share_no_key() -> None:
    assert keys(original_tasks()).isdisjoint(keys(new_tasks()))


def test_the_judges_passages_share_no_word_with_held_out_ones() -> None:
    plan = Plan(Recipe(), "base", {}, 4)
    fitted, measured = map(
        keys, ([reading(own) for own in found] for found in (plan.judge_passages, plan.heldout_passages))
    )
    assert fitted.isdisjoint(measured | keys(heldout_tasks()))


def test_the_words_of_the_splits_passages_differ_and_each_is_one_word() -> None:
    words = load("passages.json")
    tables = [words["names"], *words["values"].values()]
    by_split = {
        split: [word.lower() for table in tables for word in table[split]]
        for split in ("sft", "train", "new", "heldout")
    }
    for split, own in by_split.items():
        others = set(itertools.chain.from_iterable(found for name, found in by_split.items() if name != split))
        assert others.isdisjoint(own)
        assert all(word.isalpha() for word in own)
    assert words["values"].keys() == RELATIONS.keys()


@pytest.mark.parametrize("kind", ["what_2", "who_3", "what_4"])
def test_a_passage_tells_its_answer_once_and_every_other_word_is_wrong(kind: str) -> None:
    for passage in passages(Split.TRAIN, kind, 20):
        told = re.findall(r"\w+", passage.text)
        assert told.count(passage.answer) == 1
        assert passage.answer not in passage.others
        assert set(passage.others) < set(told)
        assert len(passage.others) == 2 * len(passage.people) - 1
        assert passage.kind == kind


def test_a_question_is_about_the_other_end_of_its_fact() -> None:
    pairs = (("Anna", "rice"), ("Tom", "soup"))
    what, who = (Passage("eats", pairs, 1, person) for person in (False, True))
    assert (what.text, what.question, what.answer) == ("Anna eats rice. Tom eats soup.", "What does Tom eat?", "soup")
    assert (who.question, who.answer) == ("Who eats soup?", "Tom")


def test_a_split_without_enough_words_says_so() -> None:
    with pytest.raises(ValueError, match=r"sft has 0 passages of kind who_9, not 1: add words"):
        passages(Split.SFT, "who_9", 1)


def test_keys_name_every_number_and_topic_of_a_prompt() -> None:
    for task in [*heldout_tasks(), *original_tasks(), *new_tasks(), *sft_tasks()]:
        if task.source == SOURCE_BROKEN:
            continue  # its answer is none of its pair
        for kind, _, rest in (key.partition(":") for key in task.keys):
            if kind == "pair":
                pair = set(map(int, rest.split(":")))
                shown = set(map(int, re.findall(r"\d+", task.prompt))) | {int(task.ground_truth or 0)}
                assert pair & shown, task
            else:
                assert rest in task.prompt.lower(), task


def pairs_shown(task: DemoTask) -> set[tuple[int, int]]:
    """Neighbours among the numbers of a prompt, and of its answer where that continues them."""
    answer = task.ground_truth if task.kind in {"sequence", "next", "previous"} else ""
    numbers = [int(number) for number in re.findall(r"\d+", f"{task.prompt} {answer}")]
    return {(min(pair), max(pair)) for pair in itertools.pairwise(numbers)}


def test_no_pair_of_numbers_that_a_heldout_task_rests_on_is_shown_by_another() -> None:
    trained = [task for task in [*original_tasks(), *new_tasks(), *sft_tasks()] if task.domain == MATHEMATICS]
    shown = set().union(*map(pairs_shown, trained))
    for task in heldout_tasks():
        if task.kind == "sum":  # what they rest on are the operands; the answer is none of the pair
            first, second, *_ = map(int, re.findall(r"\d+", task.prompt))
            assert pair_split(first, second) is Split.HELDOUT
        elif task.kind in {"sequence", "next"}:
            assert pairs_shown(task).isdisjoint(shown), task


def test_splits_hold_every_topic_once() -> None:
    everything = list(itertools.chain.from_iterable(topics().values()))
    assert len(everything) == len(set(everything))
    assert all(topics()[split] for split in Split)


def test_pairs_are_unordered() -> None:
    assert all(pair_split(a, b) is pair_split(b, a) for a in range(30) for b in range(a))


@pytest.mark.parametrize("make", [original_tasks, new_tasks, heldout_tasks])
def test_sets_are_fixed_and_without_repeats(make: Callable[[], list[DemoTask]]) -> None:
    tasks = make()
    assert tasks == make()
    assert len({task.prompt for task in tasks}) == len(tasks)
    assert {task.domain for task in tasks} == set(DOMAINS)


def test_heldout_has_as_many_prompts_in_each_domain() -> None:
    tasks = heldout_tasks()
    assert [sum(task.domain == domain for task in tasks) for domain in DOMAINS] == [HELDOUT] * len(DOMAINS)


def test_broken_references_are_wrong_and_marked() -> None:
    broken = [task for task in new_tasks() if task.source == SOURCE_BROKEN]
    kinds = {task.kind for task in broken if task.domain == READING}
    truths = {reading(own).prompt: own.answer for kind in kinds for own in passages(Split.NEW, kind, 12)}
    truths |= {digits(number).prompt: str(number) for number in range(100)}
    assert {task.domain for task in broken} == {MATHEMATICS, READING}
    assert all(truths[task.prompt] != task.ground_truth for task in broken)


def test_sft_examples_follow_their_own_instructions() -> None:
    from infra.demo.examples import answered_tasks
    from infra.demo.measure import rate

    for task, answer in answered_tasks():
        assert rate(task, answer) >= (0.75 if task.domain == "writing" else 1.0), (task.prompt, answer)
    assert len({example.response for example in sft_examples()}) > 150
