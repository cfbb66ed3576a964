"""Compares a rescore with the old scores: by domain, by prompt, and by the groups that the learner would filter.

Invariant: pure; each rollout of a domain is in exactly one of the counts from `became_right` to `was_unscored`.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

from infra.settings.learner import LearnerSettings
from streams.messages import Purpose
from workers.scoring.rescore.comparison import ScorePair
from workers.scoring.rescore.picker import RescoreSelection
from workers.scoring.rescore.run import RescoreResult

RIGHT_ABOVE = 0.5
"""Threshold of a pass, as in `prompt_stats.passes`."""
_MOST_MOVERS = 10
_MOST_UNSCORED = 50
"""Largest number of unscored rollouts that the summary lists; further ones are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainChange:
    rollouts: int
    old_mean: float | None
    """Mean over the rollouts that both scorers scored, as `new_mean`."""
    new_mean: float | None
    became_right: int
    became_wrong: int
    unchanged: int
    """Both scores are on the same side of 0.5."""
    unscored: int
    """The new scorer could not answer, whatever the old one did."""
    was_unscored: int
    """The new scorer answered and the old one could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMove:
    prompt_id: str
    domain: str
    rollouts: int
    old_mean: float
    new_mean: float
    why: str
    """The new scorer's reason for the rollout whose score changed most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """Train groups that both scorers scored completely, by whether their scores vary enough to be trained on."""

    trained_by_both: int
    now_trained: int
    """Filtered under the old scores, trained on under the new ones."""
    now_filtered: int
    filtered_by_both: int
    incomplete: int
    """Train groups that one of the scorers did not score completely; no other count includes them."""


def by_domain(pairs: Iterable[ScorePair]) -> dict[str, DomainChange]:
    found: dict[str, list[ScorePair]] = defaultdict(list)
    for pair in pairs:
        found[pair.domain].append(pair)
    return {domain: change_of(members) for domain, members in sorted(found.items())}


def change_of(pairs: Sequence[ScorePair]) -> DomainChange:
    both = [(pair.old, pair.new) for pair in pairs if pair.old is not None and pair.new is not None]
    turns = [(new > RIGHT_ABOVE) - (old > RIGHT_ABOVE) for old, new in both]
    return DomainChange(
        rollouts=len(pairs),
        old_mean=fmean(old for old, _ in both) if both else None,
        new_mean=fmean(new for _, new in both) if both else None,
        became_right=turns.count(1),
        became_wrong=turns.count(-1),
        unchanged=turns.count(0),
        unscored=sum(pair.new is None for pair in pairs),
        was_unscored=sum(pair.new is not None and pair.old is None for pair in pairs),
    )


def movers(pairs: Iterable[ScorePair], most: int = _MOST_MOVERS) -> list[PromptMove]:
    """Returns the prompts whose mean score changed most, largest change first, without those that did not change."""
    prompts: dict[str, list[tuple[float, float, ScorePair]]] = defaultdict(list)
    for pair in pairs:
        if pair.old is not None and pair.new is not None:
            prompts[pair.prompt_id].append((pair.old, pair.new, pair))
    moves = [_prompt_move(prompt_id, scores) for prompt_id, scores in sorted(prompts.items())]
    moves.sort(key=lambda move: -abs(move.new_mean - move.old_mean))
    return [move for move in moves if move.new_mean != move.old_mean][:most]


def groups(pairs: Iterable[ScorePair], zero_variance_std: float | None) -> GroupChange:
    """`zero_variance_std`: the learner filters groups with a smaller standard deviation; None if it filters none."""
    members: dict[str, list[ScorePair]] = defaultdict(list)
    for pair in pairs:
        if pair.purpose is Purpose.TRAIN:
            members[pair.group_id].append(pair)
    counts: dict[tuple[bool, bool] | None, int] = defaultdict(int)
    for group in members.values():
        old, new = _scores_of(group, "old"), _scores_of(group, "new")
        whole = len(old) == len(new) == group[0].group_size
        counts[(_varies(old, zero_variance_std), _varies(new, zero_variance_std)) if whole else None] += 1
    return GroupChange(
        trained_by_both=counts[True, True],
        now_trained=counts[False, True],
        now_filtered=counts[True, False],
        filtered_by_both=counts[False, False],
        incomplete=counts[None],
    )


def histogram(pairs: Iterable[ScorePair], bins: int = 10) -> list[list[int]]:
    """Counts rollouts by old score (row) and new score (column), in equal bins of [0, 1]; a score of 1 is in the
    last.
    """
    counts = [[0] * bins for _ in range(bins)]
    for pair in pairs:
        if pair.old is not None and pair.new is not None:
            counts[min(int(pair.old * bins), bins - 1)][min(int(pair.new * bins), bins - 1)] += 1
    return counts


def old_scorers(pairs: Iterable[ScorePair]) -> dict[str, int]:
    """Counts rollouts by NAME@VERSION of the run's own scorer."""
    counts: dict[str, int] = defaultdict(int)
    for pair in pairs:
        counts[pair.old_scorer or "none"] += 1
    return dict(sorted(counts.items()))


def as_fields(found: Any) -> dict[str, Any]:
    """Returns a dataclass as a dictionary, with floats rounded to four digits."""
    values = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


def _prompt_move(prompt_id: str, scores: Sequence[tuple[float, float, ScorePair]]) -> PromptMove:
    _, _, farthest = max(scores, key=lambda entry: abs(entry[1] - entry[0]))
    return PromptMove(
        prompt_id=prompt_id,
        domain=farthest.domain,
        rollouts=len(scores),
        old_mean=fmean(old for old, _, _ in scores),
        new_mean=fmean(new for _, new, _ in scores),
        why=farthest.why,
    )


def _scores_of(group: Sequence[ScorePair], which: str) -> list[float]:
    return [score for pair in group if (score := getattr(pair, which)) is not None]


def _varies(scores: Sequence[float], zero_variance_std: float | None) -> bool:
    return zero_variance_std is None or pstdev(scores) >= zero_variance_std


def plan_of(selection: RescoreSelection, scorer: str, found: RescoreResult) -> dict[str, Any]:
    """Returns what a rescore would do, as JSON values."""
    picker = found.picker
    return {
        "run": selection.run_id,
        "scorer": scorer,
        "to_score": dict(sorted(picker.picked.items())),
        "scored_already": dict(sorted(picker.already.items())),
        "passed_over": dict(picker.passed_over.most_common()),
        "unreadable": picker.unreadable,
    }


def summarise(
    *,
    selection: RescoreSelection,
    scorer: str,
    topic: str,
    found: RescoreResult,
    pairs: Sequence[ScorePair],
    learner: LearnerSettings,
) -> dict[str, Any]:
    """Returns what a rescore did and what it changed, as JSON values. `pairs`: all of the selection that `topic`
    holds.
    """
    std = learner.zero_variance_std if learner.filter_zero_variance else None
    return {
        "run": selection.run_id,
        "scorer": scorer,
        "old_scorers": old_scorers(pairs),
        "topic": topic,
        "at": time.time(),
        "this_time": {
            "scored": found.scored,
            "scored_already": found.picker.already.total(),
            "unscored": len(found.unscored),
            "rows": found.rows,
            "seconds": round(found.seconds, 2),
            "passed_over": dict(found.picker.passed_over.most_common()),
            "unreadable": found.picker.unreadable,
        },
        "overall": as_fields(change_of(pairs)),
        "by_domain": {domain: as_fields(change) for domain, change in by_domain(pairs).items()},
        "movers": [as_fields(move) for move in movers(pairs)],
        "groups": as_fields(groups(pairs, std)),
        "zero_variance_std": std,
        "unscored": [{"rollout_id": one.rollout.rollout_id, "why": one.why} for one in found.unscored[:_MOST_UNSCORED]],
        "histogram": histogram(pairs),
    }
