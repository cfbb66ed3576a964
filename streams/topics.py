"""Names, partitions and retention of a run's topics. Topics are created explicitly; auto-creation is off."""

from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    PROMPTS = "prompts"
    ROLLOUTS = "rollouts"
    RTV_REQUESTS = "rtv.requests"
    GENRM_REQUESTS = "genrm.requests"
    SCORED = "scored"
    GROUPS_CLOSED = "groups.closed"
    POLICY_VERSIONS = "policy.versions"
    DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    name: str
    partitions: int
    config: dict[str, str]


def topic_name(prefix: str, topic: Topic) -> str:
    """`prefix` comes from settings; an empty one leaves the bare name."""
    return f"{prefix}.{topic}" if prefix else str(topic)
