"""What an experiment is: a question, arms that differ in settings or prompts, and what is concluded from their runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from infra.lab.pool import Composition
from infra.lab.results import LabRun

Results = Mapping[str, Mapping[int, LabRun]]
"""The finished runs by arm and seed; every arm has at least one."""
Row = dict[str, str]
"""A row of a table, by column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    name: str
    label: str
    """In tables and pictures."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings by dotted path, over the experiment's."""
    composition: Composition | None = None
    """The prompts, if they are not the experiment's."""
    weakness: float = 0.0
    """Fraction of the questions on which the marker fools the planted judge, if a judge scores the prompts."""
    errors: float = 0.0
    """Fraction of the answers on which the planted judge is wrong without a pattern."""
    fits_judge: bool = False
    """Whether the judge is a model of the policy's size that was fitted for its task, instead of the planted one."""
    imitates: str = ""
    """The answers of more supervised fitting in place of PPO (infra.lab.imitation); empty: PPO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    sentences: list[str]
    """What came out, computed from the numbers; the first answers the question."""
    rows: list[Row]
    draw: Callable[[Figure], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    name: str
    """The command's argument, and the name of the page."""
    title: str
    question: str
    """Markdown, with the claim that is tested and its source."""
    method: str
    """Markdown: the arms, and what is equal between them."""
    arms: tuple[Arm, ...]
    conclude: Callable[[Results], Findings]
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings by dotted path, over the recipe `lab`."""
    composition: Composition = field(default_factory=Composition)
    seeds: int = 10

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"experiment {self.name}: two arms have one name: {', '.join(names)}")

    def composition_of(self, arm: Arm) -> Composition:
        return arm.composition or self.composition
