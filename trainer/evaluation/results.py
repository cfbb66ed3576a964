"""Results of an evaluation, from the scores of each prompt: by skill, by domain and overall, and two models compared.

Invariants:
- A prompt counts once in a mean, however many responses it has.
- A difference is taken within a prompt, over the prompts that both models answered.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from infra.db.statistics import PASS_ABOVE
from infra.settings.evaluation import Skill
from trainer.evaluation.estimators import bootstrap_interval, pass_at_k, sign_flip_p

OVERALL = "overall"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptScores:
    """The scores of one prompt's responses."""

    prompt_id: str
    domain: str
    skill: Skill | None = None
    scores: tuple[float, ...]
    """One per response, in [0, 1]; at least one."""

    @property
    def mean(self) -> float:
        return fmean(self.scores)

    def pass_at(self, k: int) -> float | None:
        """The chance that one of `k` responses passes; None if there are fewer than `k`."""
        passed = sum(score > PASS_ABOVE for score in self.scores)
        return pass_at_k(len(self.scores), passed, k) if k <= len(self.scores) else None


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean over prompts with its interval."""

    value: float
    low: float
    high: float
    prompts: int
    """Number of prompts in the mean."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The second model minus the first, over the same prompts."""

    first: float
    second: float
    difference: MeanEstimate
    p: float
    """Two-sided, of the hypothesis that the models are exchangeable on every prompt; not adjusted for the number of
    rows that are looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """Prompts that are reported together."""

    kind: str
    """`overall`, `skill` or `domain`."""
    name: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    part: Part
    prompts: int
    samples: int
    """Number of scored responses."""
    metrics: Mapping[str, MeanEstimate]
    """Name -> estimate; names are `avg@4`, `pass@1` and so on."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    part: Part
    prompts: int
    """Number of prompts that both models answered."""
    metrics: Mapping[str, Difference] = field(default_factory=dict)


Metric = Callable[[PromptScores], float | None]


def metrics_of(samples: int, pass_at: Iterable[int]) -> dict[str, Metric]:
    """The metrics of an evaluation with `samples` responses per prompt; a k above that is left out."""
    found: dict[str, Metric] = {f"avg@{samples}": lambda prompt: prompt.mean}
    for k in pass_at:
        if k <= samples:
            found[f"pass@{k}"] = lambda prompt, k=k: prompt.pass_at(k)  # type: ignore[misc]  # k is bound at once
    return found


def tabulate(prompts: Sequence[PromptScores], metrics: Mapping[str, Metric]) -> list[ResultRow]:
    """One row over all prompts, then one per skill and one per domain. Empty if there is no prompt."""
    return [
        ResultRow(
            part,
            len(members),
            sum(len(prompt.scores) for prompt in members),
            {name: found for name, metric in metrics.items() if (found := _estimate(members, metric)) is not None},
        )
        for part, members in _parts(prompts).items()
    ]


def compare(
    first: Sequence[PromptScores], second: Sequence[PromptScores], metrics: Mapping[str, Metric]
) -> list[ComparisonRow]:
    """Compares two models over the prompts that both answered, with the rows of `tabulate`."""
    others = {prompt.prompt_id: prompt for prompt in second}
    shared = [prompt for prompt in first if prompt.prompt_id in others]
    return [
        ComparisonRow(
            part,
            len(members),
            {
                name: found
                for name, metric in metrics.items()
                if (found := _difference(members, [others[prompt.prompt_id] for prompt in members], metric)) is not None
            },
        )
        for part, members in _parts(shared).items()
    ]


def _parts(prompts: Sequence[PromptScores]) -> dict[Part, list[PromptScores]]:
    if not prompts:
        return {}
    skills: dict[str, list[PromptScores]] = defaultdict(list)
    domains: dict[str, list[PromptScores]] = defaultdict(list)
    for prompt in prompts:
        domains[prompt.domain].append(prompt)
        if prompt.skill is not None:
            skills[prompt.skill].append(prompt)
    order = [skill.value for skill in Skill]
    return {
        Part(OVERALL, OVERALL): list(prompts),
        **{Part("skill", skill): skills[skill] for skill in order if skill in skills},
        **{Part("domain", domain): members for domain, members in sorted(domains.items())},
    }


def _estimate(prompts: Sequence[PromptScores], metric: Metric) -> MeanEstimate | None:
    strata: dict[str, list[float]] = defaultdict(list)
    for prompt in prompts:
        if (value := metric(prompt)) is not None:
            strata[prompt.domain].append(value)
    return _mean_of(strata) if strata else None


def _difference(first: Sequence[PromptScores], second: Sequence[PromptScores], metric: Metric) -> Difference | None:
    """`first` and `second` are the same prompts in the same order."""
    strata: dict[str, list[float]] = defaultdict(list)
    before, after = [], []
    for one, other in zip(first, second, strict=True):
        a, b = metric(one), metric(other)
        if a is not None and b is not None:
            before.append(a)
            after.append(b)
            strata[one.domain].append(b - a)
    if not before:
        return None
    differences = [b - a for a, b in zip(before, after, strict=True)]
    return Difference(fmean(before), fmean(after), _mean_of(strata), sign_flip_p(differences))


def _mean_of(strata: Mapping[str, Sequence[float]]) -> MeanEstimate:
    values = [value for stratum in strata.values() for value in stratum]
    return MeanEstimate(fmean(values), *bootstrap_interval(strata), len(values))
