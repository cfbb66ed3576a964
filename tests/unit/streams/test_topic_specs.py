import pytest

from infra.settings.tree import Settings
from streams.admin import TopicMismatchError, _require_partitions, topic_specs, weaknesses
from streams.topics import Topic, topic_name


def test_every_topic_has_a_spec_with_its_prefix() -> None:
    settings = Settings.model_validate({"topics": {"prefix": "r7", "partitions": 6, "retention_hours": 2}})
    specs = {spec.name: spec for spec in topic_specs(settings)}
    assert set(specs) == {f"r7.{topic}" for topic in Topic}
    assert specs["r7.scored"].partitions == 6
    assert specs["r7.scored"].config["retention.ms"] == str(2 * 3_600_000)
    assert specs["r7.scored"].config["cleanup.policy"] == "delete"


def test_versions_are_one_compacted_partition_that_never_expires() -> None:
    specs = {spec.name: spec for spec in topic_specs(Settings())}
    versions = specs[topic_name("", Topic.POLICY_VERSIONS)]
    assert (versions.partitions, versions.config["cleanup.policy"]) == (1, "compact")
    assert "retention.ms" not in versions.config


def test_dead_letters_outlive_their_sources() -> None:
    specs = {spec.name: spec for spec in topic_specs(Settings())}
    retention = {name: int(spec.config.get("retention.ms", 0)) for name, spec in specs.items()}
    assert retention["dead-letters"] > max(time for name, time in retention.items() if name != "dead-letters")


def test_an_acknowledged_record_is_on_all_replicas_but_one() -> None:
    for replication, insync in ((1, "1"), (2, "1"), (3, "2")):
        specs = topic_specs(Settings.model_validate({"topics": {"replication": replication}}))
        assert {spec.config["min.insync.replicas"] for spec in specs} == {insync}


def test_partitions_that_were_added_to_some_topics_are_accepted_and_missing_ones_are_not() -> None:
    wanted = {spec.name: spec for spec in topic_specs(Settings.model_validate({"topics": {"partitions": 4}}))}
    found = {name: spec.partitions for name, spec in wanted.items()}
    _require_partitions(wanted, found | {"scored": 6})
    for wrong in ({"scored": 3}, {"policy.versions": 2}):
        with pytest.raises(TopicMismatchError, match=next(iter(wrong))):
            _require_partitions(wanted, found | wrong)


def test_the_topics_that_carry_rollouts_are_compressed_if_that_is_asked_for() -> None:
    settings = Settings.model_validate({"topics": {"compression": "zstd"}})
    compressed = {spec.name for spec in topic_specs(settings) if spec.config.get("compression.type") == "zstd"}
    assert compressed == {"rollouts", "rtv.requests", "genrm.requests", "scored"}
    assert not any("compression.type" in spec.config for spec in topic_specs(Settings()))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({}, None),
        ({"retention.ms": "-1", "min.insync.replicas": "3", "cleanup.policy": "delete"}, None),
        ({"retention.ms": "60000"}, "retention.ms = 60000, below"),
        ({"min.insync.replicas": "1"}, "min.insync.replicas = 1, below 2"),
        ({"max.message.bytes": "1048588"}, "max.message.bytes = 1048588, below"),
        ({"cleanup.policy": "compact"}, "cleanup.policy = compact, not delete"),
        ({"unclean.leader.election.enable": "true"}, "unclean.leader.election.enable"),
    ],
)
def test_a_topic_that_loses_records_is_refused(found: dict[str, str], why: str | None) -> None:
    specs = {spec.name: spec for spec in topic_specs(Settings.model_validate({"topics": {"replication": 3}}))}
    short = weaknesses(specs["scored"], found)
    assert (short == []) if why is None else (len(short) == 1 and why in short[0])
