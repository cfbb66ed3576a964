"""Compares old and new scores of the same rollouts, read from the log.

Invariant: a rollout has one pair: the first score of its question's own route against the first of the new scorer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.messages import Purpose, Rollout, ScoredTrajectory, without_content
from streams.route_headers import route_of
from streams.topics import Topic, topic_name
from workers.scoring.rescore.picker import RescoreSelection
from workers.scoring.rescore.run import Unscored, decode_scored


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePair:
    rollout_id: str
    group_id: str
    group_size: int
    prompt_id: str
    domain: str
    purpose: Purpose
    old: float | None
    """None if the run itself has no score of it."""
    old_scorer: str
    """NAME@VERSION; empty if the run has no verdict."""
    new: float | None
    """None if the new scorer gave no verdict."""
    why: str
    """The new scorer's reason."""


def read_pairs(
    settings: Settings, bootstrap: str, topic: str, selection: RescoreSelection, unscored: Sequence[Unscored]
) -> list[ScorePair]:
    """Returns the pairs of the selection's rollouts that `topic` holds, and of those in `unscored`.

    Memory: a few hundred bytes per rollout. Raises LookupError if a topic is missing, BrokerUnavailableError.
    """
    new: dict[str, tuple[Rollout, float | None, str]] = {}
    for scored in _read_scored(settings, bootstrap, topic):
        if selection.passed_over(scored.rollout) is None:
            new.setdefault(scored.rollout.rollout_id, (without_content(scored.rollout), scored.score, scored.why))
    for one in unscored:
        new.setdefault(one.rollout.rollout_id, (without_content(one.rollout), None, one.why))
    old: dict[str, tuple[float | None, str]] = {}
    for scored in _read_scored(settings, bootstrap, topic_name(settings.topics.prefix, Topic.SCORED)):
        if scored.rollout.rollout_id in new and scored.route is route_of(scored.rollout.question):
            old.setdefault(scored.rollout.rollout_id, (scored.score, f"{scored.scorer}@{scored.scorer_version}"))
    return [_make_pair(*found, *old.get(rollout_id, (None, ""))) for rollout_id, found in sorted(new.items())]


def _make_pair(rollout: Rollout, new: float | None, why: str, old: float | None, old_scorer: str) -> ScorePair:
    return ScorePair(
        rollout_id=rollout.rollout_id,
        group_id=rollout.group_id,
        group_size=rollout.group_size,
        prompt_id=rollout.prompt_id,
        domain=rollout.domain,
        purpose=rollout.purpose,
        old=old,
        old_scorer=old_scorer,
        new=new,
        why=why,
    )


def _read_scored(settings: Settings, bootstrap: str, topic: str) -> Iterator[ScoredTrajectory]:
    with LogReader(settings.broker, bootstrap, [topic]) as reader:
        for record in reader.read_to_end():
            if (scored := decode_scored(record)) is not None:
                yield scored
