"""The topics of new scores: `scored.NAME.VERSION` in addition to a run's `scored`, one per scorer that judged it again.

Invariant: the same scorer and version have the same topic; two that differ never share one. Its records are
ScoredTrajectories with a score. A rollout that could not be scored is not in it, so that another attempt can add it. If
a rollout is in it twice, the first record counts.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from infra.settings.tree import BrokerSettings, Settings
from streams.admin import create_topics, topic_specs
from streams.clients.connect import make_admin
from streams.topics import Topic, TopicSpec, topic_name

GENRM = "genrm"
"""The scorer name of the settings' judge; the judge's own name says which backend it has."""
_NOT_IN_A_NAME, _NOT_IN_A_VERSION = re.compile(r"[^A-Za-z0-9_-]"), re.compile(r"[^A-Za-z0-9._-]")
_DIGEST_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class ScorerId:
    """A scorer as the user names it: NAME or NAME@VERSION."""

    name: str
    version: str = ""
    """Empty means the installed version."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        name, at, version = text.partition("@")
        if not name or (at and not version):
            raise ValueError(f"{text!r} names no scorer: write NAME@VERSION, or NAME for the installed version")
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def slug(self) -> str:
        """NAME.VERSION for topics and folders, with a digest if characters had to be replaced."""
        plain = f"{_NOT_IN_A_NAME.sub('-', self.name)}.{_NOT_IN_A_VERSION.sub('-', self.version)}"
        if plain == f"{self.name}.{self.version}":
            return plain
        return f"{plain}-{hashlib.sha256(str(self).encode()).hexdigest()[:_DIGEST_CHARACTERS]}"

    @property
    def folder(self) -> str:
        """Name of its folder within the run's folder."""
        return f"rescore-{self.slug.replace('.', '-', 1)}"


def rescored_topic(prefix: str, scorer: ScorerId) -> str:
    """`scorer` must have a version."""
    return f"{topic_name(prefix, Topic.SCORED)}.{scorer.slug}"


def rescored_topics(broker: BrokerSettings, bootstrap: str, prefix: str) -> dict[str, int]:
    """Returns the number of partitions by name, for all topics of new scores of the run. Raises
    BrokerUnavailableError.
    """
    beginning = f"{topic_name(prefix, Topic.SCORED)}."
    return {name: count for name, count in _list_topics(broker, bootstrap).items() if name.startswith(beginning)}


def create_rescored_topic(settings: Settings, bootstrap: str, scorer: ScorerId) -> str:
    """Creates the topic if it is missing, with the configuration of `scored` and as many partitions as the run's
    `rollouts`, so that a group's records keep their partition. Returns its name.

    Raises LookupError if the run has no log, TopicMismatchError, BrokerUnavailableError.
    """
    name = rescored_topic(settings.topics.prefix, scorer)
    source = topic_name(settings.topics.prefix, Topic.ROLLOUTS)
    partitions = require_topic(_list_topics(settings.broker, bootstrap), source, bootstrap)
    scored = topic_name(settings.topics.prefix, Topic.SCORED)
    config = next(spec.config for spec in topic_specs(settings) if spec.name == scored)
    spec = TopicSpec(name=name, partitions=partitions, config=config)
    create_topics(settings.broker, bootstrap, [spec], settings.topics.replication)
    return name


def require_topic(found: Mapping[str, int], name: str, bootstrap: str) -> int:
    """Returns the topic's number of partitions. Raises LookupError if there is no such topic."""
    if name not in found:
        raise LookupError(f"the broker at {bootstrap} has no topic {name!r}")
    return found[name]


def _list_topics(broker: BrokerSettings, bootstrap: str) -> dict[str, int]:
    admin = make_admin(broker, bootstrap)
    try:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        admin.close()
