"""What other selection rules would have sent, estimated from the groups that a run recorded. Pure.

A cell is a round and a domain. The run sent n groups there, and a rule selects m prompts there, each of which would
have got n / m of them, since dispatch goes through a selection in shuffled passes. The outcome of a selected prompt is
recorded if it has groups in the cell, else it is unknown. The estimate is the mean over the recorded prompts of a cell,
weighted by the groups that the rule would have sent to them.

Invariants
- Nothing is imputed: an unknown group counts as unknown, and neither a later round nor another prompt stands in for it.
- The rule that the run followed, on all its prompts, differs from the run by exactly 0.
- Intervals are percentile bootstraps over prompts, within domains. Differences are paired: rule and run are compared
  within the same cells, with the same weights, and on the same resamples.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.evaluation.estimators import LEVEL, SEED

RESAMPLES = 2_000
"""Bootstrap resamples: the ends of an interval then vary by about 4 % of its width."""

_LITTLE = 0.2
"""Coverage below which an estimate comes with a warning: four groups in five are unknown."""

Floats = npt.NDArray[np.float64]
Cell = tuple[int, str]
"""Round and domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedGroup:
    """A train group all of whose responses have a score."""

    round: int
    """The selection by which it was dispatched."""
    domain: str
    prompt: int
    spread: bool
    """Whether its scores differ, so that it teaches."""
    reward: float
    """Mean of its scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChoice:
    """What a rule selects in a cell."""

    round: int
    domain: str
    selected: int
    recorded: frozenset[int]
    """The selected prompts that have groups in the cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEstimate:
    """A mean with its 95 % interval. None if nothing was recorded."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRule:
    rule: str
    selected: float
    """Prompts selected, mean over the rounds."""
    groups: float
    """Groups that it would have sent, to the domains in which it selects prompts."""
    known: float
    """Those of the groups whose prompt has a recorded outcome in the same round."""
    without_spread: float | None
    """Known groups without spread."""
    spread: RateEstimate
    """Fraction of the known groups with a spread."""
    reward: RateEstimate
    """Mean score of the known groups."""
    spread_difference: RateEstimate
    """Rule minus run, in the same cells."""
    reward_difference: RateEstimate

    @property
    def unknown(self) -> float:
        return self.groups - self.known

    @property
    def coverage(self) -> float:
        """Fraction of its groups that are known."""
        return self.known / self.groups if self.groups else 0.0


def simulate(
    groups: Sequence[RecordedGroup],
    sent: Mapping[Cell, int],
    choices: Mapping[str, Sequence[RuleChoice]],
    *,
    run_selected: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[SimulatedRule]:
    """The run itself, under the name `the run`, and then each rule. `sent`: groups that the run dispatched;
    `run_selected`: prompts that it selected, mean over the rounds.
    """
    record = _Record.of(groups)
    found = [record.run(sent, run_selected)]
    found += [record.compare(rule, chosen, sent) for rule, chosen in choices.items()]
    draws = record.draws(resamples, seed)
    return [comparison.estimate(record, draws) for comparison in found]


@dataclass(frozen=True, slots=True)
class _Record:
    """One entry per cell and prompt that has groups there: their number and means."""

    cells: dict[Cell, int]
    cell: npt.NDArray[np.int64]
    prompt: npt.NDArray[np.int64]
    """Index of the entry's prompt."""
    numbers: list[int]
    """Prompt of each entry, as the caller numbers it."""
    groups: Floats
    values: tuple[Floats, Floats]
    """Mean spread and mean reward of each entry."""
    domain_of_prompt: npt.NDArray[np.int64]

    @classmethod
    def of(cls, groups: Sequence[RecordedGroup]) -> "_Record":
        by_entry: dict[tuple[int, str, int], list[RecordedGroup]] = defaultdict(list)
        for group in groups:
            by_entry[group.round, group.domain, group.prompt].append(group)
        entries = sorted(by_entry)
        cells = {cell: index for index, cell in enumerate(sorted({entry[:2] for entry in entries}))}
        prompts = {key: index for index, key in enumerate(sorted({(domain, prompt) for _, domain, prompt in entries}))}
        domains = {domain: index for index, domain in enumerate(sorted({domain for domain, _ in prompts}))}
        members = [by_entry[entry] for entry in entries]
        return cls(
            cells=cells,
            cell=np.array([cells[entry[:2]] for entry in entries], dtype=np.int64),
            prompt=np.array([prompts[entry[1:]] for entry in entries], dtype=np.int64),
            numbers=[prompt for _, _, prompt in entries],
            groups=np.array([len(some) for some in members], dtype=np.float64),
            values=(
                np.array([np.mean([group.spread for group in some]) for some in members], dtype=np.float64),
                np.array([np.mean([group.reward for group in some]) for some in members], dtype=np.float64),
            ),
            domain_of_prompt=np.array([domains[domain] for domain, _ in prompts], dtype=np.int64),
        )

    def run(self, sent: Mapping[Cell, int], selected: float) -> "_Comparison":
        """What the run did: its groups are those that it recorded."""
        return _Comparison(
            rule="the run",
            selected=selected,
            groups=float(sum(sent.values())),
            weights=np.bincount(self.cell, self.groups, len(self.cells)).astype(np.float64),
            mask=np.ones_like(self.groups),
        )

    def compare(self, rule: str, choices: Sequence[RuleChoice], sent: Mapping[Cell, int]) -> "_Comparison":
        weights, groups = np.zeros(len(self.cells)), 0.0
        chosen: dict[int, frozenset[int]] = {}
        for choice in choices:
            cell = choice.round, choice.domain
            if choice.selected:
                groups += sent.get(cell, 0)
                if cell in self.cells:
                    chosen[self.cells[cell]] = choice.recorded
                    weights[self.cells[cell]] = sent.get(cell, 0) * len(choice.recorded) / choice.selected
        mask = [number in chosen.get(int(at), ()) for at, number in zip(self.cell, self.numbers, strict=True)]
        rounds = len({choice.round for choice in choices})
        return _Comparison(
            rule=rule,
            selected=sum(choice.selected for choice in choices) / rounds if rounds else 0.0,
            groups=groups,
            weights=weights,
            mask=np.array(mask, dtype=np.float64),
        )

    def draws(self, resamples: int, seed: int) -> list[Floats]:
        """How often each entry's prompt is in each resample."""
        generator = np.random.default_rng(seed)
        found = []
        for _ in range(resamples if self.numbers else 0):
            counts = np.zeros(len(self.domain_of_prompt))
            for domain in range(int(self.domain_of_prompt.max()) + 1):
                members = np.flatnonzero(self.domain_of_prompt == domain)
                counts[members] = np.bincount(generator.integers(0, members.size, members.size), minlength=members.size)
            found.append(counts[self.prompt])
        return found


@dataclass(frozen=True, slots=True)
class _Comparison:
    rule: str
    selected: float
    groups: float
    weights: Floats
    """Known groups of each cell."""
    mask: Floats
    """1 for the entries that the rule selects, else 0."""

    def estimate(self, record: _Record, draws: Sequence[Floats]) -> SimulatedRule:
        known = float(self.weights.sum())
        spread, reward = (self._rates(record, values, draws) for values in record.values)
        return SimulatedRule(
            rule=self.rule,
            selected=self.selected,
            groups=self.groups,
            known=known,
            without_spread=None if spread[0].mean is None else known * (1 - spread[0].mean),
            spread=spread[0],
            reward=reward[0],
            spread_difference=spread[1],
            reward_difference=reward[1],
        )

    def _rates(self, record: _Record, values: Floats, draws: Sequence[Floats]) -> tuple[RateEstimate, RateEstimate]:
        """The rule's mean, and its difference from the run's in the same cells."""
        if not self.weights.any():
            return RateEstimate(), RateEstimate()
        resampled = np.array([self._means(record, values, counts) for counts in draws])
        means = self._means(record, values, np.ones_like(values))
        tail = 100 * (1 - LEVEL) / 2
        bounds = [np.nanpercentile(resampled[:, side], [tail, 100 - tail]) for side in (0, 1)]
        rate, difference = (
            RateEstimate(mean=float(mean), low=float(low), high=float(high))
            for mean, (low, high) in zip(means, bounds, strict=True)
        )
        return rate, difference

    def _means(self, record: _Record, values: Floats, counts: Floats) -> tuple[float, float]:
        """The weighted mean over the cells of the rule, and of its difference from the run's. A cell of which a
        resample has none of the rule's prompts is left out of it.
        """
        size = len(record.cells)
        chosen, all_ = np.bincount(record.cell, counts * self.mask, size), np.bincount(record.cell, counts, size)
        some = (chosen > 0) & (self.weights > 0)
        if not some.any():
            return float("nan"), float("nan")
        sums = np.bincount(record.cell, counts * self.mask * values, size)[some] / chosen[some]
        run = np.bincount(record.cell, counts * values, size)[some] / all_[some]
        weights = self.weights[some] / self.weights[some].sum()
        return float(weights @ sums), float(weights @ (sums - run))


def what_the_log_says(found: Sequence[SimulatedRule], *, rounds: int, drew_at_random: bool) -> list[str]:
    """What the estimates mean, and what a log cannot say."""
    run, *rules = found
    replayed = (
        f"{rounds} selections of the run were made again under each rule, from the scores that were recorded before "
        "each; quarantine and routes are those of today."
    )
    recorded = (
        f"Only recorded outcomes are used: {run.known:.0f} of {run.groups:.0f} groups that the run sent have all of "
        "their scores. A group that a rule would have sent to a prompt without a recorded group in the same round is "
        "unknown; it is in no mean."
    )
    told = [replayed, recorded]
    if drew_at_random:
        told.append(
            "The run selected independently of the scores, so its prompts are a random sample, and the known groups "
            "of a rule stand for all of its groups."
        )
    else:
        told.append(
            "The run selected by scores, so the known groups of a rule are those that the run's own rule selected, "
            "too. They do not stand for its unknown groups: a run with the rule `uniform` would say more."
        )
    told.append(
        "The policy is the one that the run trained. What a policy would have become under another rule, no log says: "
        "`rewardstream experiment` compares runs."
    )
    told += [
        f"{rule.rule}: {rule.coverage:.0%} of its groups are known, which is too few to judge it by."
        for rule in rules
        if rule.coverage < _LITTLE
    ]
    return told
