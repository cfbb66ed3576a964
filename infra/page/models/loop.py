"""The loop as parts and topics, with rate, lag and staleness on each. Pure.

Invariant: a number that nobody measured is None, never 0; each part of the picture is there whether or not it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.local.state import ServiceLine
from infra.scalars import FlowMetrics, LearningMetrics
from infra.scrape import Scrape
from infra.screen.facts import RunFactsNow
from infra.screen.view import activity, topic_rows
from infra.services import Service
from streams.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPart:
    name: str
    state: str
    """`running`, `waiting` (to be started again), `stopped`, `silent`, or `unknown` where nobody tells."""
    does: str
    restarts: int
    cpu_cores: float | None
    memory_bytes: int | None
    oldest_seconds: float | None
    """Age of the oldest record that the part works on."""
    versions_behind: int | None
    """How many policy versions the learner is ahead of the rollout workers; None for other parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReader:
    stage: str
    rate: float
    """Records per second."""
    lag: float | None
    """Records that are not read yet; None if the stage does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopTopic:
    name: str
    readers: Sequence[LoopReader]
    records: float
    """Records that its first reader has read since that process started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPicture:
    live: bool
    parts: Sequence[LoopPart]
    topics: Sequence[LoopTopic]
    dead_letters: float
    open_groups: int
    generated_rate: float | None
    """Tokens per second."""
    trained_rate: float | None


def loop_of(
    services: Sequence[ServiceLine], now: Scrape, before: Scrape, facts: RunFactsNow, prefix: str, *, live: bool
) -> LoopPicture:
    """`before` is a scrape some seconds earlier, from which the rates follow."""
    from infra.screen.view import token_rates

    rows = topic_rows(now, before, prefix) if live else []
    readers: dict[str, list[LoopReader]] = {}
    records: dict[str, float] = {}
    for row in rows:
        readers.setdefault(row.topic, []).append(LoopReader(stage=row.stage, rate=row.rate, lag=row.lag))
        records.setdefault(row.topic, row.records)
    rates = token_rates(now, before) if live else (None, None)
    return LoopPicture(
        live=live,
        parts=[_part(name, services, now, before, facts, live=live) for name in Service],
        topics=[LoopTopic(name=name, readers=readers.get(name, []), records=records.get(name, 0.0)) for name in Topic],
        dead_letters=now.total(FlowMetrics.dead_letters_total.series),
        open_groups=facts.outcomes.get("open", 0),
        generated_rate=rates[0],
        trained_rate=rates[1],
    )


def _part(
    name: str, services: Sequence[ServiceLine], now: Scrape, before: Scrape, facts: RunFactsNow, *, live: bool
) -> LoopPart:
    service = next((one for one in services if one.name == name), None)
    if service is None or not live:
        return LoopPart(
            name=name, state="stopped" if service is not None else "unknown", does="", restarts=0, cpu_cores=None,
            memory_bytes=None, oldest_seconds=None, versions_behind=None,
        )  # fmt: skip
    own = now.services.get(name, {})
    return LoopPart(
        name=name,
        state="silent" if name in now.silent and service.status == "running" else service.status,
        does=activity(name, now, before, facts) if service.pid else "",
        restarts=service.restarts,
        cpu_cores=service.cpu_cores,
        memory_bytes=service.memory_bytes,
        oldest_seconds=_oldest(Scrape(now.at, {name: own})),
        versions_behind=_behind(now) if name == Service.ROLLOUT else None,
    )


def _oldest(own: Scrape) -> float | None:
    ages: Mapping[str, float] = own.by(FlowMetrics.consumer_lag_seconds.series, "stage")
    return max(ages.values(), default=None)


def _behind(now: Scrape) -> int | None:
    made = now.largest(LearningMetrics.policy_version.series)
    held = now.largest(FlowMetrics.engine_policy_version.series)
    return None if made is None or held is None else max(0, int(made - held))
