"""Rows and tokens of a training step, packed by the function that the learner packs with.

Invariant: a step's rows and tokens are those of `trainer.step.batch.pack_batch` for groups whose responses all have the
mean length; the fullest rows are those that a step's memory is planned for.
"""

from dataclasses import dataclass

from infra.capacity.activations import GroupTokens
from infra.capacity.hardware import Assumptions
from infra.settings.tree import Settings
from workers.models.shared_prefix import fill


@dataclass(frozen=True, slots=True)
class FullRow:
    """A row of equal groups."""

    group: GroupTokens
    groups: int

    @property
    def tokens(self) -> int:
        return self.groups * self.group.total

    @property
    def targets(self) -> int:
        return self.groups * self.group.responses * self.group.response


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSizes:
    prompt: int
    response: int
    """Mean tokens of a response."""
    longest_response: int
    rows: int
    """Rows of a step."""
    tokens: int
    """Tokens that a step computes, a prompt once per row that has it."""
    targets: int
    """Response tokens of a step."""
    fullest: tuple[FullRow, ...]
    """A row filled with responses of the mean length, and one filled with the longest ones."""


def row_sizes(settings: Settings, assumptions: Assumptions) -> RowSizes:
    sampling, budget = settings.rollout.sampling, settings.learner.packed_row_tokens
    prompt = max(1, round(assumptions.prompt_tokens))
    longest = max(sampling.max_new_tokens, *sampling.max_new_tokens_by_domain.values(), 1)
    response = max(1, min(longest, round(assumptions.response_tokens or longest / 2)))
    samples, groups = settings.selector.group_size, settings.selector.admission.groups_per_step
    parts = [len(part) for part in fill([response] * samples, max(0, budget - prompt))]
    sizes = [prompt + count * response for _ in range(groups) for count in parts]
    return RowSizes(
        prompt=prompt,
        response=response,
        longest_response=longest,
        rows=len(fill(sizes, budget)),
        tokens=sum(sizes),
        targets=groups * samples * response,
        fullest=tuple(_fullest(prompt, length, samples, budget) for length in dict.fromkeys((response, longest))),
    )


def _fullest(prompt: int, response: int, samples: int, budget: int) -> FullRow:
    responses = min(samples, max(1, (budget - prompt) // response))
    group = GroupTokens(prompt, response, responses)
    return FullRow(group, max(1, budget // group.total) if responses == samples else 1)
