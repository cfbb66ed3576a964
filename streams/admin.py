"""Creates and lists the topics of a run.

Invariant: creation is idempotent. A topic with another number of partitions than settings ask for is an error; it is
never changed.
"""

from collections.abc import Iterable

from kafka.errors import TopicAlreadyExistsError

from infra.settings.tree import BrokerSettings, Settings, TopicSettings
from streams.clients.connect import make_admin
from streams.topics import Topic, TopicSpec, topic_name

_HOUR_MS = 3_600_000
_DEAD_LETTER_RETENTION = 4
"""Factor on the retention of the other topics: somebody has to look at dead letters before they expire."""


class TopicMismatchError(RuntimeError):
    """A topic exists with another number of partitions than settings ask for."""


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Returns a spec for each topic of the run, with the run's prefix in its name."""
    return [_spec_of_topic(settings.topics, settings.broker, topic) for topic in Topic]


def create_topics(broker: BrokerSettings, bootstrap: str, specs: Iterable[TopicSpec], replication: int = 1) -> None:
    """Create the missing topics. Raises TopicMismatchError, BrokerUnavailableError."""
    wanted = {spec.name: spec for spec in specs}
    admin = make_admin(broker, bootstrap)
    try:
        missing = wanted.keys() - set(admin.list_topics())
        for name in sorted(missing):
            request = {
                name: {
                    "num_partitions": wanted[name].partitions,
                    "replication_factor": replication,
                    "configs": wanted[name].config,
                }
            }
            try:
                admin.create_topics(request)
            except TopicAlreadyExistsError:
                continue  # another process was faster; the check below holds for it too
        admin.wait_for_topics(sorted(wanted))
        found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(sorted(wanted))}
    finally:
        admin.close()
    _require_partitions(wanted, found)


def require_topics(settings: Settings, bootstrap: str) -> None:
    """Raises LookupError that names the topics of the run which do not exist. The embedded broker creates any topic
    that is written to, so nothing else would reveal a wrong prefix.
    """
    prefix = settings.topics.prefix
    found = list_topics(settings.broker, bootstrap, prefix)
    missing = [name for topic in Topic if (name := topic_name(prefix, topic)) not in found]
    if missing:
        raise LookupError(
            f"no topic {', '.join(missing)} at {bootstrap}: correct topics.prefix, or create them with "
            "`rewardstream topics create`"
        )


def list_topics(broker: BrokerSettings, bootstrap: str, prefix: str = "") -> dict[str, int]:
    """Returns the number of partitions by name, for the topics that belong to `prefix`. Raises
    BrokerUnavailableError.
    """
    admin = make_admin(broker, bootstrap)
    try:
        topics = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    finally:
        admin.close()
    return {name: topics[name] for topic in Topic if (name := topic_name(prefix, topic)) in topics}


def _spec_of_topic(topics: TopicSettings, broker: BrokerSettings, topic: Topic) -> TopicSpec:
    compacted = topic is Topic.POLICY_VERSIONS
    hours = topics.retention_hours * (_DEAD_LETTER_RETENTION if topic is Topic.DEAD_LETTERS else 1)
    config = {
        "cleanup.policy": "compact" if compacted else "delete",
        "max.message.bytes": str(broker.max_message_bytes),
    }
    if not compacted:
        config["retention.ms"] = str(int(hours * _HOUR_MS))
    partitions = 1 if compacted else topics.partitions
    return TopicSpec(name=topic_name(topics.prefix, topic), partitions=partitions, config=config)


def _require_partitions(wanted: dict[str, TopicSpec], found: dict[str, int]) -> None:
    wrong = [
        f"{name} has {found.get(name, 0)} partitions instead of {spec.partitions}"
        for name, spec in wanted.items()
        if found.get(name) != spec.partitions
    ]
    if wrong:
        raise TopicMismatchError(
            f"{'; '.join(wrong)}: set topics.partitions to what exists, or choose another topics.prefix"
        )
