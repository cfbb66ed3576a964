"""The laboratory's tasks: right answers, lengths that grow, and prompts that cannot teach."""

import random

import pytest

from infra.lab.ladder import DOMAINS, RUNGS, Kind, distinct, make_broken, make_coin, make_task


def test_answers_are_right() -> None:
    draw = random.Random(0)
    for rung in range(1, RUNGS + 1):
        _, left, _, right = (task := make_task("mathematics", rung, draw)).prompt.split()
        assert task.answer == str(int(left) + int(right))
        _, digits = (task := make_task("order", rung, draw)).prompt.split()
        assert task.answer == "".join(sorted(digits))
        _, letters = (task := make_task("letters", rung, draw)).prompt.split()
        assert task.answer == letters[::-1]
        _, letters = (task := make_task("counting", rung, draw)).prompt.split()
        assert int(task.answer) == letters.count("a")


def test_a_program_runs_its_steps_in_order() -> None:
    draw = random.Random(0)
    answers = {task.prompt: task.answer for task in (make_task("coding", 2, draw) for _ in range(4000))}
    of = {prompt.rpartition(" ")[0]: (prompt.rpartition(" ")[2], answer) for prompt, answer in answers.items()}
    digits, answer = of["run sort turn"]
    assert answer == "".join(sorted(digits, reverse=True))
    digits, answer = of["run drop sort"]
    assert answer == "".join(sorted(digits[1:]))
    digits, answer = of["run turn drop"]
    assert answer == digits[::-1][1:]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_short_cut_is_never_right(domain: str) -> None:
    draw = random.Random(5)
    tasks = [
        make(domain, rung, draw) for make in (make_task, make_broken) for rung in (1, 5, RUNGS) for _ in range(100)
    ]
    assert all(task.short_cut not in ("", task.answer) for task in tasks)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_higher_rung_has_a_longer_prompt(domain: str) -> None:
    draw = random.Random(1)
    lengths = [sum(len(make_task(domain, rung, draw).prompt) for _ in range(200)) / 200 for rung in range(1, RUNGS + 1)]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == RUNGS


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_broken_prompt_has_the_answer_of_another(domain: str) -> None:
    draw = random.Random(2)
    sound = {task.prompt: task.answer for task in (make_task(domain, 1, draw) for _ in range(20_000))}
    broken = [make_broken(domain, 1, draw) for _ in range(50)]
    assert all(task.kind is Kind.BROKEN for task in broken)
    assert all(task.answer != sound[task.prompt] for task in broken if task.prompt in sound)
    assert any(task.prompt in sound for task in broken)


def test_a_coin_falls_on_both_sides() -> None:
    draw = random.Random(3)
    answers = [make_coin("order", draw).answer for _ in range(200)]
    assert 70 < answers.count("yes") < 130
    assert set(answers) == {"yes", "no"}


def test_distinct_tasks_repeat_no_prompt() -> None:
    draw = random.Random(4)
    taken: set[str] = set()
    tasks = distinct(iter(lambda: make_task("counting", 1, draw), None), 40, taken)
    more = distinct(iter(lambda: make_task("counting", 1, draw), None), 20, taken)
    assert len({task.prompt for task in tasks + more}) == len(taken) == 60
