"""Packs groups into the rows that a step trains on: token ids, targets and the engine's log-probs (`behaviour`).

Invariants:
- Token ids and behaviour log-probs come from the message unchanged; no text is tokenised.
- Only policy segments are targets. The first segment of a trajectory is its prompt, which the group shares.
- Each group is in one row, with its prompt once (`workers.models.shared_prefix`); rows are filled up to a token budget.

Shapes: L tokens of a row, N targets of a row.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from streams.arrays import unpack_logprobs, unpack_tokens
from streams.messages import ScoredTrajectory, Source
from streams.validate import check_rollout
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack


class TrajectoryError(ValueError):
    """This trajectory cannot be trained on; the text names the rollout."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One response: the tokens after the prompt, and which of them the policy sampled."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    by_policy: tuple[bool, ...]
    logprobs: tuple[float, ...]
    """The engine's log-probs, one per policy token, in order."""
    versions: tuple[int, ...]
    """Policy versions, one per policy token."""
    score: float
    temperature: float
    domain: str
    limit: int = 0
    """Maximum number of policy tokens; 0 means no limit."""
    cut_off: bool = False
    """Whether it reached that limit before its end token."""
    lineages: tuple[int, ...] = ()
    """Lineages of `versions`, one per policy token; may be empty if `pack_batch` gets no `known_weights`."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A packed row and its N targets."""

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
    rows: list[TrainingRow]
    trajectories: list[Trajectory]
    groups: list[list[int]]
    """Indices of each group's trajectories."""

    @property
    def targets(self) -> int:
        return sum(len(row.targets_N) for row in self.rows)

    @property
    def tokens(self) -> int:
        """Tokens computed; each group's prompt counts once."""
        return sum(len(row.packed.input_ids) for row in self.rows)


WeightsId = tuple[int, int]
"""(lineage, version): names one set of policy weights."""


def trajectory_of(scored: ScoredTrajectory) -> Trajectory:
    """Unpacks a verdict. Raises TrajectoryError if it cannot be trained on."""
    try:
        check_rollout(scored.rollout)
        return _unpack(scored)
    except ValueError as error:  # DecodeError is one
        raise TrajectoryError(f"{scored.rollout.rollout_id}: {error}") from error


def _unpack(scored: ScoredTrajectory) -> Trajectory:
    """Unpacks a verdict whose rollout passed `check_rollout`. Raises ValueError."""
    rollout = scored.rollout
    if scored.score is None:
        raise ValueError("no score")
    if not rollout.segments or rollout.segments[0].source is not Source.PROMPT:
        raise ValueError("the first segment is not the prompt")
    tokens: list[int] = []
    by_policy: list[bool] = []
    logprobs: list[float] = []
    for segment in rollout.segments[1:]:
        ids = unpack_tokens(segment.token_ids)
        tokens.extend(ids.tolist())
        by_policy.extend([segment.source is Source.POLICY] * len(ids))
        logprobs.extend(unpack_logprobs(segment.logprobs).tolist())
    versions = [span.version for span in rollout.spans for _ in range(span.tokens)]
    lineages = [span.lineage for span in rollout.spans for _ in range(span.tokens)]
    if not logprobs or not np.isfinite(logprobs).all():
        raise ValueError("no policy tokens, or log-probabilities that are not finite")
    prompt = tuple(unpack_tokens(rollout.segments[0].token_ids).tolist())
    if not prompt:
        raise ValueError("the prompt has no tokens")
    return Trajectory(
        prompt=prompt,
        tokens=tuple(tokens),
        by_policy=tuple(by_policy),
        logprobs=tuple(logprobs),
        versions=tuple(versions),
        score=scored.score,
        temperature=rollout.sampling.temperature or 1.0,
        domain=rollout.domain,
        limit=rollout.sampling.max_new_tokens,
        cut_off=rollout.finish_reason == "length",
        lineages=tuple(lineages),
    )


def pack_batch(
    members: Sequence[Sequence[Trajectory]], packed_row_tokens: int, known_weights: Collection[WeightsId] | None = None
) -> TrainingBatch:
    """Packs the trajectories of each group (`members`), which share one prompt, into rows.

    Rows hold whole groups in the given order; a group longer than `packed_row_tokens` gets a row of its own.
    `known_weights` names the weights that this learner's history holds at the start of the step; None counts every
    version as known.
    """
    trajectories = [trajectory for group in members for trajectory in group]
    starts = np.cumsum([0, *(len(group) for group in members)]).tolist()
    prefixes = [PrefixGroup(group[0].prompt, [t.tokens for t in group]) for group in members]
    rows = [
        _row(
            [prefixes[i] for i in chosen],
            [list(members[i]) for i in chosen],
            [starts[i] for i in chosen],
            known_weights,
        )
        for chosen in fill([prefix.tokens for prefix in prefixes], packed_row_tokens)
    ]
    groups = [list(range(starts[i], starts[i + 1])) for i in range(len(members))]
    return TrainingBatch(rows, trajectories, groups)


def _row(
    prefixes: list[PrefixGroup],
    members: list[list[Trajectory]],
    starts: list[int],
    known_weights: Collection[WeightsId] | None,
) -> TrainingRow:
    packed = pack(prefixes)
    predictors: list[int] = []
    owners: list[tuple[Trajectory, int]] = []
    for group, slices, last, start in zip(members, packed.suffix_slices, packed.prefix_last, starts, strict=True):
        for number, (trajectory, where) in enumerate(zip(group, slices, strict=True)):
            made = [i for i, policy in enumerate(trajectory.by_policy) if policy]
            predictors.extend(where.start + i - 1 if i else last for i in made)
            owners.append((trajectory, start + number))
    return TrainingRow(
        packed=packed,
        predictors_N=torch.tensor(predictors),
        targets_N=torch.tensor([t for o, _ in owners for t, made in zip(o.tokens, o.by_policy, strict=True) if made]),
        behaviour_N=torch.tensor([p for o, _ in owners for p in o.logprobs], dtype=torch.float32),
        temperature_N=torch.tensor([o.temperature for o, _ in owners for _ in o.logprobs], dtype=torch.float32),
        versions_N=torch.tensor([v for o, _ in owners for v in o.versions]),
        known_weights_N=torch.tensor(
            [known for o, _ in owners for known in _is_known(o, known_weights)], dtype=torch.bool
        ),
        trajectory_N=torch.tensor([index for o, index in owners for _ in o.logprobs]),
        step_N=torch.tensor([step for o, _ in owners for step in range(len(o.logprobs))]),
    )


def _is_known(trajectory: Trajectory, known_weights: Collection[WeightsId] | None) -> Iterator[bool]:
    if known_weights is None:
        return (True for _ in trajectory.logprobs)
    return (made in known_weights for made in zip(trajectory.lineages, trajectory.versions, strict=True))
