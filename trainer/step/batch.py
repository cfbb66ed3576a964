"""Packs groups into the rows that a step trains on: token ids, targets and the engine's log-probs (`behaviour`).

Invariants:
- Token ids and behaviour log-probs are those of the trajectories (`trainer.step.trajectory`), unchanged.
- Only policy segments are targets.
- A row has at most the budgeted number of tokens, unless one response after its prompt is longer by itself. A group is
  in one row, with its prompt once (`workers.models.shared_prefix`), if it fits; else its responses are spread over
  several rows, each with the prompt.
- Memory and time are linear in the number of tokens.
- What several processes must agree on (`BatchOutline`) is numbers per response; a process packs only the rows whose
  trajectories it has (`pack_rows`).

Shapes: L tokens of a row, N targets of a row.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.step.trajectory import Trajectory
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack


@dataclass(frozen=True, slots=True)
class ResponseOutline:
    """One trajectory without its tokens."""

    tokens: int
    """Number of tokens after the prompt."""
    targets: int
    """Number of policy tokens."""
    score: float
    limit: int
    cut_off: bool


@dataclass(frozen=True, slots=True)
class RowOutline:
    """What a row consists of."""

    parts: tuple[tuple[int, ...], ...]
    """Indices of the trajectories in their order; those of one part follow the same prompt."""
    tokens: int
    """L."""

    @property
    def trajectories(self) -> list[int]:
        return [index for part in self.parts for index in part]


@dataclass(frozen=True, slots=True)
class BatchOutline:
    """What every process knows of a batch."""

    rows: list[RowOutline]
    responses: list[ResponseOutline]
    """One per trajectory."""
    groups: list[list[int]]
    """Indices of each group's trajectories."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A packed row and its N targets."""

    outline: RowOutline
    packed: PackedRow
    predictors_N: Tensor
    """int64: the position in the row whose logits predict the target."""
    targets_N: Tensor
    """int64 token ids."""
    behaviour_N: Tensor
    """float32: the engine's log-probs."""
    temperature_N: Tensor
    """float32, never 0."""
    versions_N: Tensor
    """int64: the policy version that sampled the token."""
    known_weights_N: Tensor
    """bool: False if the weights of that version are not in this learner's history (another lineage's version)."""
    trajectory_N: Tensor
    """int64: index of the token's trajectory in the batch."""
    step_N: Tensor
    """int64: position of the token among its trajectory's policy tokens."""


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    outline: BatchOutline
    numbers: list[int]
    """Numbers of the rows that this process has, in the outline."""
    rows: list[TrainingRow]
    """Those rows."""
    trajectories: list[Trajectory]
    """All of them; none in a process that another one leads."""

    @property
    def groups(self) -> list[list[int]]:
        return self.outline.groups

    @property
    def responses(self) -> list[ResponseOutline]:
        return self.outline.responses

    @property
    def targets(self) -> int:
        return sum(response.targets for response in self.responses)

    @property
    def tokens(self) -> int:
        """Tokens computed; each group's prompt counts once per row."""
        return sum(row.tokens for row in self.outline.rows)


WeightsId = tuple[int, int]
"""(lineage, version): names one set of policy weights."""


def pack_batch(
    members: Sequence[Sequence[Trajectory]], packed_row_tokens: int, known_weights: Collection[WeightsId] | None = None
) -> TrainingBatch:
    """Packs the trajectories of each group (`members`), which share one prompt, into rows.

    `known_weights` names the weights that this learner's history holds at the start of the step; None counts every
    version as known.
    """
    outline = outline_of(members, packed_row_tokens)
    trajectories = [trajectory for group in members for trajectory in group]
    numbers = list(range(len(outline.rows)))
    return TrainingBatch(
        outline, numbers, pack_rows(outline, numbers, dict(enumerate(trajectories)), known_weights), trajectories
    )


def outline_of(members: Sequence[Sequence[Trajectory]], packed_row_tokens: int) -> BatchOutline:
    """Which rows `pack_batch` makes of these groups."""
    trajectories = [trajectory for group in members for trajectory in group]
    starts = np.cumsum([0, *(len(group) for group in members)]).tolist()
    groups = [list(range(starts[i], starts[i + 1])) for i in range(len(members))]
    parts = [tuple(part) for group in groups for part in _split_group(group, trajectories, packed_row_tokens)]
    sizes = [_tokens_of(part, trajectories) for part in parts]
    rows = [
        RowOutline(tuple(parts[i] for i in chosen), sum(sizes[i] for i in chosen))
        for chosen in fill(sizes, packed_row_tokens)
    ]
    responses = [ResponseOutline(len(t.tokens), len(t.logprobs), t.score, t.limit, t.cut_off) for t in trajectories]
    return BatchOutline(rows, responses, groups)


def pack_rows(
    outline: BatchOutline,
    numbers: Sequence[int],
    trajectories: Mapping[int, Trajectory],
    known_weights: Collection[WeightsId] | None,
) -> list[TrainingRow]:
    """The rows of these numbers; `trajectories` has those of the rows, by index."""
    return [_row(outline.rows[number], trajectories, known_weights) for number in numbers]


def _tokens_of(part: Sequence[int], trajectories: Sequence[Trajectory]) -> int:
    """Tokens of a row with these responses of one group."""
    return len(trajectories[part[0]].prompt) + sum(len(trajectories[index].tokens) for index in part)


def _split_group(group: Sequence[int], trajectories: Sequence[Trajectory], budget: int) -> list[list[int]]:
    """The group's trajectories in parts that fit a row, each with the prompt; one part if all of them fit."""
    room = max(0, budget - len(trajectories[group[0]].prompt))
    found = fill([len(trajectories[index].tokens) for index in group], room)
    return [[group[place] for place in part] for part in found]


def _row(
    outline: RowOutline, trajectories: Mapping[int, Trajectory], known_weights: Collection[WeightsId] | None
) -> TrainingRow:
    parts = outline.parts
    packed = pack(
        [PrefixGroup(trajectories[part[0]].prompt, [trajectories[index].tokens for index in part]) for part in parts]
    )
    owners = outline.trajectories
    members = [trajectories[index] for index in owners]
    lengths = [len(member.logprobs) for member in members]
    predictors: list[npt.NDArray[np.int64]] = []
    places = zip(parts, packed.suffix_slices, packed.prefix_last, strict=True)
    for part, slices, last in places:
        for index, where in zip(part, slices, strict=True):
            made = np.flatnonzero(trajectories[index].by_policy) + (where.start - 1)
            predictors.append(np.where(made < where.start, last, made))
    return TrainingRow(
        outline=outline,
        packed=packed,
        predictors_N=_tensor(predictors, np.int64),
        targets_N=_tensor([member.tokens[member.by_policy] for member in members], np.int64),
        behaviour_N=_tensor([member.logprobs for member in members], np.float32),
        temperature_N=_tensor([np.repeat([member.temperature for member in members], lengths)], np.float32),
        versions_N=_tensor([member.versions for member in members], np.int64),
        known_weights_N=_tensor([_is_known(member, known_weights) for member in members], np.bool_),
        trajectory_N=_tensor([np.repeat(owners, lengths)], np.int64),
        step_N=_tensor([np.arange(length) for length in lengths], np.int64),
    )


def _tensor(parts: Sequence[npt.NDArray[Any]], dtype: type[Any]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts, dtype=dtype, casting="same_kind"))


def _is_known(trajectory: Trajectory, known_weights: Collection[WeightsId] | None) -> npt.NDArray[np.bool_]:
    """Per policy token, whether this learner's history holds its weights."""
    if known_weights is None:
        return np.ones(len(trajectory.logprobs), np.bool_)
    assert trajectory.lineages is not None
    found = np.zeros(len(trajectory.logprobs), np.bool_)
    for lineage, version in known_weights:
        found |= (trajectory.lineages == lineage) & (trajectory.versions == version)
    return found
