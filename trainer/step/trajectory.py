"""Unpacks verdicts into trajectories: a response's token ids, the engine's log-probs (`behaviour`), versions and score.

Invariants:
- Token ids and behaviour log-probs come from the message unchanged; no text is tokenised. Arrays are views of the
  message's bytes if that is possible.
- The first segment of a trajectory is its prompt, which the group shares.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.arrays import unpack_logprobs, unpack_tokens
from streams.messages import Rollout, ScoredTrajectory, Source
from streams.validate import check_rollout

_LEAST_LOGPROB, _MOST_LOGPROB = -1e4, 1e-2
"""Log-probs of sampled tokens are within these in every engine's arithmetic; others would make ratios infinite."""


class TrajectoryError(ValueError):
    """This trajectory cannot be trained on; the text names the rollout."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SampledTokens:
    """The tokens of one response, whatever its score."""

    prompt: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    """All tokens after the prompt."""
    by_policy: npt.NDArray[np.bool_]
    """Whether the policy sampled the token, one per token after the prompt."""
    logprobs: npt.NDArray[np.float32]
    """The engine's log-probs, one per policy token, in order."""
    versions: npt.NDArray[np.int32]
    """Policy versions, one per policy token."""
    lineages: npt.NDArray[np.int32]
    """Lineages of `versions`, one per policy token."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """One response: the tokens after the prompt, and which of them the policy sampled."""

    prompt: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    by_policy: npt.NDArray[np.bool_]
    logprobs: npt.NDArray[np.float32]
    """The engine's log-probs, one per policy token, in order."""
    versions: npt.NDArray[np.int32]
    """Policy versions, one per policy token."""
    score: float
    temperature: float
    domain: str
    limit: int = 0
    """Maximum number of policy tokens; 0 means no limit."""
    cut_off: bool = False
    """Whether it reached that limit before its end token."""
    lineages: npt.NDArray[np.int32] | None = None
    """Lineages of `versions`, one per policy token; may be None if `pack_batch` gets no `known_weights`."""


def trajectory_of(scored: ScoredTrajectory) -> Trajectory:
    """Unpacks a verdict. Raises TrajectoryError if it cannot be trained on."""
    try:
        check_rollout(scored.rollout)
        return _unpack(scored)
    except ValueError as error:  # DecodeError is one
        raise TrajectoryError(f"{scored.rollout.rollout_id}: {error}") from error


def trajectories_of(group: Iterable[ScoredTrajectory], vocabulary: int | None = None) -> list[Trajectory]:
    """Unpacks the verdicts of one group. Raises TrajectoryError if one of them cannot be trained on: also for a token
    id that the policy, with `vocabulary` ids, does not have, and for responses that do not share one prompt.
    """
    members: list[Trajectory] = []
    for scored in group:
        member = trajectory_of(scored)
        name = scored.rollout.rollout_id
        if vocabulary is not None:
            for ids in (member.prompt, member.tokens):
                if len(ids) and not 0 <= ids.min() <= ids.max() < vocabulary:
                    wrong = ids.min() if ids.min() < 0 else ids.max()
                    raise TrajectoryError(f"{name}: token id {wrong} is not one of the policy's {vocabulary}")
        if members and not np.array_equal(member.prompt, members[0].prompt):
            raise TrajectoryError(f"{name}: its prompt is not that of the other responses of its group")
        members.append(member)
    return members


def _unpack(scored: ScoredTrajectory) -> Trajectory:
    """Unpacks a verdict whose rollout passed `check_rollout`. Raises ValueError."""
    rollout = scored.rollout
    if scored.score is None:
        raise ValueError("no score")
    sampled = sampled_tokens(rollout)
    return Trajectory(
        prompt=sampled.prompt,
        tokens=sampled.tokens,
        by_policy=sampled.by_policy,
        logprobs=sampled.logprobs,
        versions=sampled.versions,
        score=scored.score,
        temperature=rollout.sampling.temperature or 1.0,
        domain=rollout.domain,
        limit=rollout.sampling.max_new_tokens,
        cut_off=rollout.finish_reason == "length",
        lineages=sampled.lineages,
    )


def sampled_tokens(rollout: Rollout) -> SampledTokens:
    """Unpacks the tokens of a rollout that passed `check_rollout`. Raises ValueError."""
    if not rollout.segments or rollout.segments[0].source is not Source.PROMPT:
        raise ValueError("the first segment is not the prompt")
    after = rollout.segments[1:]
    tokens = [unpack_tokens(segment.token_ids) for segment in after]
    made = [segment.source is Source.POLICY for segment in after]
    logprobs = _joined([unpack_logprobs(segment.logprobs) for segment in after if segment.logprobs], np.float32)
    if not len(logprobs):
        raise ValueError("no policy tokens")
    if not (logprobs.min() >= _LEAST_LOGPROB and logprobs.max() <= _MOST_LOGPROB):  # NaN fails this too
        raise ValueError(f"log-probabilities between {logprobs.min()} and {logprobs.max()}")
    prompt = unpack_tokens(rollout.segments[0].token_ids)
    if not len(prompt):
        raise ValueError("the prompt has no tokens")
    counts = [span.tokens for span in rollout.spans]
    return SampledTokens(
        prompt=prompt,
        tokens=_joined(tokens, np.int32),
        by_policy=np.repeat(made, [len(ids) for ids in tokens]),
        logprobs=logprobs,
        versions=np.repeat(np.array([span.version for span in rollout.spans], np.int32), counts),
        lineages=np.repeat(np.array([span.lineage for span in rollout.spans], np.int32), counts),
    )


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: type[Any]) -> npt.NDArray[Any]:
    """The parts one after another; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


def with_one_prompt(group: Sequence[Trajectory]) -> list[Trajectory]:
    """The group with one array for the prompt that its members share, instead of one each."""
    return [replace(trajectory, prompt=group[0].prompt) for trajectory in group]
