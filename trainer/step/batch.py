"""From groups to what a step trains on: packed rows of token ids, targets, behaviour log-probabilities.

Invariants:
- Token ids and behaviour log-probabilities come from the message untouched; no text is tokenised.
- Only policy segments are targets. The first segment of a trajectory is its prompt, shared by the group.
- A group lies in one row, its prompt once (`workers.models.shared_prefix`); rows are filled up to a token budget.

Shapes: L tokens of a row, N targets of a row.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from streams.arrays import unpack_logprobs, unpack_tokens
from streams.messages import ScoredTrajectory, Source
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack


class TrajectoryError(ValueError):
    """A trajectory whose segments cannot be trained on; the text names the rollout."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One response as arrays: `tokens` after the prompt, and which of them the policy made."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    by_policy: tuple[bool, ...]
    logprobs: tuple[float, ...]
    """One a policy token, in order."""
    versions: tuple[int, ...]
    """One a policy token."""
    score: float
    temperature: float
    domain: str
    limit: int = 0
    """Policy tokens that it was allowed; 0 where there was no limit."""
    cut_off: bool = False
    """It met that limit before its end."""
    lineages: tuple[int, ...] = ()
    """One a policy token, whose versions are of that lineage; empty where nobody asks."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A packed row and its N targets."""

    packed: PackedRow
    predictors_N: Tensor
    """int64: where in the row the logits of each target stand."""
    targets_N: Tensor
    """int64 token ids."""
    behaviour_N: Tensor
    """float32: the engine's log-probabilities."""
    temperature_N: Tensor
    """float32, never 0."""
    versions_N: Tensor
    """int64: the policy version that made the token."""
    known_weights_N: Tensor
    """bool: false where that version is another lineage's, with weights that this history does not hold."""
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
        """Tokens computed, prompts included once a group."""
        return sum(len(row.packed.input_ids) for row in self.rows)


WeightsId = tuple[int, int]
"""(lineage, version)."""


def trajectory_of(scored: ScoredTrajectory) -> Trajectory:
    """Raises TrajectoryError."""
    try:
        return _unpack(scored)
    except ValueError as error:  # arrays whose bytes are no whole numbers among them
        raise TrajectoryError(f"{scored.rollout.rollout_id}: {error}") from error


def _unpack(scored: ScoredTrajectory) -> Trajectory:
    """Raises ValueError."""
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
        made = segment.source is Source.POLICY
        if made:
            values = unpack_logprobs(segment.logprobs)
            if len(values) != len(ids):
                raise ValueError(f"{len(ids)} policy tokens but {len(values)} log-probabilities")
            logprobs.extend(values.tolist())
        tokens.extend(ids.tolist())
        by_policy.extend([made] * len(ids))
    versions = [span.version for span in rollout.spans for _ in range(span.tokens)]
    lineages = [span.lineage for span in rollout.spans for _ in range(span.tokens)]
    if len(versions) != len(logprobs):
        raise ValueError(f"spans cover {len(versions)} tokens, the policy made {len(logprobs)}")
    if not logprobs or not np.isfinite(logprobs).all():
        raise ValueError("no policy tokens, or log-probabilities that are not finite")
    prompt = tuple(unpack_tokens(rollout.segments[0].token_ids).tolist())
    if not prompt:
        raise ValueError("the prompt has no tokens")
    temperature = rollout.sampling.temperature or 1.0
    return Trajectory(
        prompt=prompt,
        tokens=tuple(tokens),
        by_policy=tuple(by_policy),
        logprobs=tuple(logprobs),
        versions=tuple(versions),
        score=scored.score,
        temperature=temperature,
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
