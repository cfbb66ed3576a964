"""What each service may do at the broker: the least that it needs, as one table.

Invariant: the table is the only place that says so. The ACLs (`rewardstream topics rights`), the page
infra/docs/security.md and the tests are made from it. Every topic of a run may be described by every service, since
each checks at its start that they exist.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from infra.services import Service
from streams.topics import Topic, topic_name

CLI = "cli"
"""The user of the command line: it makes topics, audits, replays dead letters, scores again, evaluates."""


class Operation(StrEnum):
    """Kafka's operations."""

    READ = "READ"
    WRITE = "WRITE"
    CREATE = "CREATE"
    DESCRIBE = "DESCRIBE"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"


class Resource(StrEnum):
    """Kafka's kinds of resources."""

    TOPIC = "TOPIC"
    GROUP = "GROUP"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRights:
    """What a service does in addition to describing the run's topics."""

    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    consumes: bool = False
    """Whether it reads in a consumer group of its own name."""
    keeps_new_scores: bool = False
    """Whether it makes, reads and writes the topics of new scores, which begin with `scored.`."""
    makes_topics: bool = False


_DEAD = Topic.DEAD_LETTERS

RIGHTS: Mapping[str, ServiceRights] = {
    Service.ROUTER: ServiceRights(
        reads=(Topic.ROLLOUTS,), writes=(Topic.RTV_REQUESTS, Topic.GENRM_REQUESTS, _DEAD), consumes=True
    ),
    Service.RTV: ServiceRights(reads=(Topic.RTV_REQUESTS,), writes=(Topic.SCORED, _DEAD), consumes=True),
    Service.GENRM: ServiceRights(reads=(Topic.GENRM_REQUESTS,), writes=(Topic.SCORED, _DEAD), consumes=True),
    Service.DIFFICULTY: ServiceRights(reads=(Topic.SCORED,), writes=(_DEAD,), consumes=True),
    Service.CROSSCHECK: ServiceRights(reads=(Topic.SCORED,), writes=(_DEAD,), consumes=True, keeps_new_scores=True),
    Service.SELECTOR: ServiceRights(reads=(Topic.GROUPS_CLOSED, _DEAD), writes=(Topic.PROMPTS, _DEAD)),
    Service.ROLLOUT: ServiceRights(
        reads=(Topic.PROMPTS, Topic.POLICY_VERSIONS, Topic.GROUPS_CLOSED),
        writes=(Topic.ROLLOUTS, Topic.SCORED, _DEAD),
        consumes=True,
    ),
    Service.LEARNER: ServiceRights(
        reads=(Topic.PROMPTS, Topic.SCORED, Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS, _DEAD),
        writes=(Topic.GROUPS_CLOSED, Topic.POLICY_VERSIONS, _DEAD),
    ),
    CLI: ServiceRights(reads=tuple(Topic), writes=tuple(Topic), keeps_new_scores=True, makes_topics=True),
}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One ACL that allows; its principal is the service's user."""

    service: str
    resource: Resource
    name: str
    prefixed: bool
    """Whether `name` is only the beginning of the resource's name."""
    operation: Operation


def rights_of(service: str, prefix: str, run_id: str = "") -> list[Right]:
    """Returns the ACLs of a service's user, for the run with this prefix of its topics. `run_id` names the consumer
    group of the rollout workers, and is the prefix if empty.
    """
    return sorted(_rights(service, prefix, run_id))


def _rights(service: str, prefix: str, run_id: str) -> Iterator[Right]:
    table = RIGHTS[service]
    for topic in Topic:
        name = topic_name(prefix, topic)
        for operation in (Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS):
            yield Right(service, Resource.TOPIC, name, False, operation)
        if topic in table.reads:
            yield Right(service, Resource.TOPIC, name, False, Operation.READ)
        if topic in table.writes:
            yield Right(service, Resource.TOPIC, name, False, Operation.WRITE)
        if table.makes_topics:
            yield Right(service, Resource.TOPIC, name, False, Operation.CREATE)
    if table.keeps_new_scores:
        beginning = f"{topic_name(prefix, Topic.SCORED)}."
        for operation in Operation:
            yield Right(service, Resource.TOPIC, beginning, True, operation)
    if table.consumes:
        owner = (run_id if service == Service.ROLLOUT else "") or prefix
        yield Right(service, Resource.GROUP, f"{owner}.{service}", False, Operation.READ)


def rights_table() -> str:
    """The table as Markdown, by service; every service may also describe the run's topics and their configurations."""
    lines = ["| service | READ | WRITE | group (READ) | besides |", "| --- | --- | --- | --- | --- |"]
    for service, rights in RIGHTS.items():
        reads, writes = (", ".join(topics) for topics in (rights.reads, rights.writes))
        besides = ["CREATE on these topics"] if rights.makes_topics else []
        besides += ["all five operations on topics that begin with `scored.`"] if rights.keeps_new_scores else []
        group = f"`{service}`" if rights.consumes else ""
        lines.append(f"| `{service}` | {reads} | {writes} | {group} | {'; '.join(besides)} |")
    return "\n".join(lines) + "\n"
