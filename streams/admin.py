"""Creates and lists the topics of a run.

Invariant: creation is idempotent. A topic that exists is never changed. One with another number of partitions than
settings ask for is an error, unless partitions were added; and so is one whose configuration breaks the promise that
nothing acknowledged is lost: with fewer in-sync replicas, a shorter retention, another cleanup policy, or smaller
messages.
"""

from collections.abc import Iterable, Mapping

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from infra.settings.tree import BrokerSettings, Settings, TopicSettings
from streams.clients.connect import make_admin
from streams.topics import Topic, TopicSpec, topic_name

_HOUR_MS = 3_600_000
_DEAD_LETTER_RETENTION = 4
"""Factor on the retention of the other topics: somebody has to look at dead letters before they expire."""


_OF_ROLLOUTS = {Topic.ROLLOUTS, Topic.RTV_REQUESTS, Topic.GENRM_REQUESTS, Topic.SCORED}
"""The topics whose records carry a rollout, which is nearly all of the log's bytes."""
_AT_LEAST = {"retention.ms", "max.message.bytes", "min.insync.replicas"}
"""Configurations of which more is as good; -1 means without limit."""


class TopicMismatchError(RuntimeError):
    """A topic exists with fewer partitions, or a weaker configuration, than settings ask for."""


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Returns a spec for each topic of the run, with the run's prefix in its name."""
    topics = settings.topics
    return [_spec_of_topic(topics, settings.broker, topic, topics.replication) for topic in Topic]


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
        configs = _configs_of(admin, wanted)
    finally:
        admin.close()
    _require_partitions(wanted, found)
    _require_configs(wanted.values(), configs)


def require_topics(settings: Settings, bootstrap: str) -> None:
    """Raises LookupError that names the topics of the run which do not exist, and TopicMismatchError for those whose
    configuration loses records. The embedded broker creates any topic that is written to, so nothing else would reveal
    a wrong prefix.
    """
    prefix = settings.topics.prefix
    found = list_topics(settings.broker, bootstrap, prefix)
    missing = [name for topic in Topic if (name := topic_name(prefix, topic)) not in found]
    if missing:
        raise LookupError(
            f"no topic {', '.join(missing)} at {bootstrap}: correct topics.prefix, or create them with "
            "`rewardstream topics create`"
        )
    specs = topic_specs(settings)
    admin = make_admin(settings.broker, bootstrap)
    try:
        configs = _configs_of(admin, [spec.name for spec in specs])
    finally:
        admin.close()
    _require_configs(specs, configs)


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


def weaknesses(spec: TopicSpec, found: Mapping[str, str]) -> list[str]:
    """Returns how a topic's configuration falls short of its spec. What the broker does not tell is left unchecked, as
    by the embedded one, which has no configurations.
    """
    short = [
        f"{name} = {found[name]}, below {wanted}"
        for name, wanted in spec.config.items()
        if name in _AT_LEAST and name in found and 0 <= int(found[name]) < int(wanted)
    ]
    policy = found.get("cleanup.policy", spec.config["cleanup.policy"])
    if policy != spec.config["cleanup.policy"]:
        short.append(f"cleanup.policy = {policy}, not {spec.config['cleanup.policy']}")
    if found.get("unclean.leader.election.enable") == "true":
        short.append("unclean.leader.election.enable = true, which loses acknowledged records")
    return short


def _configs_of(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Returns the configuration of each topic, as far as the broker tells it."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(names)]
    found = admin.describe_configs(asked, config_filter="all").get("topic", {})
    return {
        name: {key: entry["value"] for key, entry in configs.items() if entry.get("value") is not None}
        for name, configs in found.items()
    }


def _require_configs(specs: Iterable[TopicSpec], found: Mapping[str, Mapping[str, str]]) -> None:
    wrong = [f"{spec.name}: {why}" for spec in specs for why in weaknesses(spec, found.get(spec.name, {}))]
    if wrong:
        raise TopicMismatchError(
            f"{'; '.join(wrong)}: change the topics with kafka-configs.sh, or ask for less in topics.retention_hours, "
            "topics.replication and broker.max_message_bytes"
        )


def _spec_of_topic(topics: TopicSettings, broker: BrokerSettings, topic: Topic, replication: int) -> TopicSpec:
    compacted = topic is Topic.POLICY_VERSIONS
    hours = topics.retention_hours * (_DEAD_LETTER_RETENTION if topic is Topic.DEAD_LETTERS else 1)
    config = {
        "cleanup.policy": "compact" if compacted else "delete",
        "max.message.bytes": str(broker.max_message_bytes),
        "min.insync.replicas": str(max(1, replication - 1)),
    }
    if topic in _OF_ROLLOUTS and topics.compression != "none":
        config["compression.type"] = topics.compression
    if not compacted:
        config["retention.ms"] = str(int(hours * _HOUR_MS))
    partitions = 1 if compacted else topics.partitions
    return TopicSpec(name=topic_name(topics.prefix, topic), partitions=partitions, config=config)


def _require_partitions(wanted: dict[str, TopicSpec], found: dict[str, int]) -> None:
    wrong = [
        f"{name} has {found.get(name, 0)} partitions instead of {spec.partitions}"
        for name, spec in wanted.items()
        if found.get(name, 0) < spec.partitions or (spec.partitions == 1 and found.get(name) != 1)
    ]
    if wrong:
        raise TopicMismatchError(
            f"{'; '.join(wrong)}: set topics.partitions to what exists, or choose another topics.prefix"
        )
