"""The source of a learner's groups: its own run's log as it grows, or the log of a finished run (a replay).

Invariants:
- A replay changes nothing of the old run: closings, versions and checkpoints belong to the new run.
- All scores of a group come from one scorer: either the one that `learner.replay.scores` names, or the run's own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from infra.settings.tree import Settings
from streams.clients import LogReader
from streams.codec import DecodeError
from streams.messages import ScoredTrajectory, Status
from streams.records import Record
from streams.route_headers import route_of
from streams.topics import Topic, topic_name
from streams.validate import decode_scored
from workers.scoring.rescore.topics import ScorerId, rescored_topic, rescored_topics


class ReplayError(RuntimeError):
    """The requested scores do not exist; the text lists those that do."""


@dataclass(frozen=True, slots=True)
class NewScore:
    score: float | None
    status: Status
    why: str
    scorer: str
    version: str


@dataclass(frozen=True, slots=True)
class NewScores:
    """The scores of one scorer, by rollout id."""

    scorer: str
    """NAME@VERSION."""
    scores: Mapping[str, NewScore]
    groups: frozenset[str]
    """Ids of the groups that have at least one score."""

    @classmethod
    def of(cls, scorer: str, records: Iterable[Record]) -> "NewScores":
        """Takes the first score of each rollout, and skips records that do not decode."""
        found: dict[str, NewScore] = {}
        groups: set[str] = set()
        for record in records:
            try:
                scored = decode_scored(record)
            except DecodeError:
                continue
            new = NewScore(scored.score, scored.status, scored.why, scored.scorer, scored.scorer_version)
            found.setdefault(scored.rollout.rollout_id, new)
            groups.add(scored.rollout.group_id)
        return cls(scorer, found, frozenset(groups))

    def apply(self, old: ScoredTrajectory) -> ScoredTrajectory:
        """The verdict with its new score.

        It is returned unchanged if its group has no new scores, or if it is a shadow score. If its group has new scores
        but this rollout has none, it becomes an infra_error, since two scorers must not be mixed in a group.
        """
        if old.rollout.group_id not in self.groups or old.route is not route_of(old.rollout.question):
            return old
        new = self.scores.get(old.rollout.rollout_id)
        if new is None:
            why = f"{self.scorer} scored others of its group, not this one"
            return msgspec.structs.replace(old, score=None, status=Status.INFRA_ERROR, why=why)
        return msgspec.structs.replace(
            old, score=new.score, status=new.status, why=new.why, scorer=new.scorer, scorer_version=new.version
        )


@dataclass(frozen=True, slots=True)
class GroupSource:
    """The topics from which the learner reads its groups."""

    run_id: str
    prompts_topic: str
    scored_topic: str
    is_replay: bool
    """Whether the log belongs to another run, and is read to its end once."""
    scores: NewScores | None = None
    """Scores that replace the run's own."""


def open_source(settings: Settings, bootstrap: str) -> GroupSource:
    """Raises ReplayError, BrokerUnavailableError."""
    replay = settings.learner.replay
    if not replay.run:
        prefix = settings.topics.prefix
        return GroupSource(
            settings.run.id, topic_name(prefix, Topic.PROMPTS), topic_name(prefix, Topic.SCORED), is_replay=False
        )
    return GroupSource(
        replay.run,
        topic_name(replay.prefix, Topic.PROMPTS),
        topic_name(replay.prefix, Topic.SCORED),
        is_replay=True,
        scores=read_scores(settings, bootstrap) if replay.scores else None,
    )


def read_scores(settings: Settings, bootstrap: str) -> NewScores:
    """Reads the scores that are written so far; they take some hundred bytes per rollout.

    Raises ReplayError, BrokerUnavailableError.
    """
    topic = scores_topic(settings, bootstrap)
    with LogReader(settings.broker, bootstrap, [topic]) as reader:
        return NewScores.of(settings.learner.replay.scores, reader.read_to_end())


def scores_topic(settings: Settings, bootstrap: str) -> str:
    """The topic of learner.replay.scores. Raises ReplayError if there is none, BrokerUnavailableError."""
    replay = settings.learner.replay
    try:
        topic = rescored_topic(replay.prefix, ScorerId.parse(replay.scores))
    except ValueError as error:
        raise ReplayError(f"learner.replay.scores: {error}") from error
    found = rescored_topics(settings.broker, bootstrap, replay.prefix)
    if topic not in found:
        raise ReplayError(
            f"run {replay.run} has no scores of {replay.scores}: there is no topic {topic!r} at {bootstrap}, only "
            f"{', '.join(sorted(found)) or 'the scores of the run itself'}. `rewardstream rescore --run {replay.run} "
            f"--scorer {replay.scores}` makes them"
        )
    return topic
