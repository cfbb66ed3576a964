"""What the screen says, from two snapshots and the run's facts. Pure: no clock, no terminal, no query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.scrape import Scrape
from infra.screen.facts import RunFactsNow


@dataclass(frozen=True, slots=True)
class ProcessRow:
    name: str
    state: str
    pid: int | None
    restarts: int
    cpu_cores: float
    memory_bytes: int
    doing: str = ""


@dataclass(frozen=True, slots=True)
class TopicRow:
    topic: str
    stage: str
    """Who reads it."""
    records: float
    rate: float
    """Records a second since the snapshot before."""
    lag: float | None
    """Records not yet read; None where the stage does not say."""


@dataclass(frozen=True, slots=True)
class DomainRow:
    domain: str
    reward: float | None
    """Mean training reward of the last steps."""
    heldout: dict[str, float]
    """By label, in the order measured."""


@dataclass(frozen=True, slots=True)
class View:
    run_id: str
    broker: str
    elapsed: float
    phase: str
    version: int
    generated_rate: float
    """Tokens a second."""
    trained_rate: float
    processes: Sequence[ProcessRow] = ()
    topics: Sequence[TopicRow] = ()
    domains: Sequence[DomainRow] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    staleness: Mapping[int, int] = field(default_factory=dict)


class Rewards:
    """Running mean of each domain's reward over the last versions; single steps are noise."""

    def __init__(self, window: int = 8) -> None:
        self._window = window
        self._by_domain: dict[str, dict[int, float]] = {}

    def update(self, snapshot: Scrape) -> dict[str, float]:
        version = int(snapshot.largest("rewardstream_policy_version") or 0)
        for domain, reward in snapshot.by("rewardstream_learner_reward", "domain").items():
            steps = self._by_domain.setdefault(domain, {})
            if reward != next(reversed(steps.values()), None):  # a domain that is not in a step keeps its gauge
                steps[version] = reward
            while len(steps) > self._window:
                del steps[next(iter(steps))]
        return {domain: sum(steps.values()) / len(steps) for domain, steps in self._by_domain.items()}


def topic_rows(now: Scrape, before: Scrape, prefix: str) -> list[TopicRow]:
    """One a topic and the stage that reads it."""
    name = "rewardstream_messages_total"
    stages = now.by(name, "stage")
    rows = []
    for stage in sorted(stages):
        for topic, records in sorted(now.by(name, "topic", stage=stage).items()):
            lag = now.by("rewardstream_consumer_lag_messages", "topic", stage=stage).get(topic)
            earlier = before.by(name, "topic", stage=stage).get(topic, 0.0)
            bare = topic.removeprefix(f"{prefix}.") if prefix else topic
            rows.append(TopicRow(bare, stage, records, _rate(records - earlier, now.at - before.at), lag))
    return sorted(rows, key=lambda row: (row.topic, row.stage))


def domain_rows(rewards: Mapping[str, float], heldout: Mapping[str, Mapping[str, float]]) -> list[DomainRow]:
    domains = sorted(set(rewards) | {domain for means in heldout.values() for domain in means})
    domains.sort(key=lambda domain: domain == "overall")  # last
    return [
        DomainRow(
            domain, rewards.get(domain), {label: means[domain] for label, means in heldout.items() if domain in means}
        )
        for domain in domains
    ]


def token_rates(now: Scrape, before: Scrape) -> tuple[float, float]:
    """(generated, trained on), tokens a second."""
    seconds = now.at - before.at
    names = ("rewardstream_generated_tokens_total", "rewardstream_learner_tokens_total")
    labels: tuple[dict[str, str], ...] = ({}, {"kind": "target"})
    generated, trained = (
        _rate(now.total(name, **kinds) - before.total(name, **kinds), seconds)
        for name, kinds in zip(names, labels, strict=True)
    )
    return generated, trained


def doing(name: str, now: Scrape, before: Scrape, facts: RunFactsNow) -> str:
    """What a process is at, in a few words."""
    if name in now.silent:
        return "silent"
    generated, trained = token_rates(now, before)
    version = int(now.largest("rewardstream_policy_version") or 0)
    held = int(now.largest("rewardstream_engine_policy_version") or 0)
    running = int(now.largest("rewardstream_engine_running") or 0)
    entropy = now.largest("rewardstream_learner_entropy") or 0.0
    verdicts = _verdict_rate(name, now, before)
    texts = {
        "selector": facts.phase.replace("_", " "),
        "rollout": f"{running} running, {generated:.0f} tok/s, v{held}",
        "learner": f"v{version}, {trained:.0f} tok/s, entropy {entropy:.2f}",
        "rtv": f"{verdicts:.1f} verdicts/s",
        "genrm": f"{verdicts:.1f} verdicts/s",
    }
    return texts.get(name, f"{_stage_rate(name, now, before):.1f} records/s")


def _verdict_rate(service: str, now: Scrape, before: Scrape) -> float:
    """Each process serves its own counter."""
    return _own_rate(service, "rewardstream_scorer_requests_total", now, before)


def _stage_rate(service: str, now: Scrape, before: Scrape) -> float:
    return _own_rate(service, "rewardstream_messages_total", now, before)


def _own_rate(service: str, name: str, now: Scrape, before: Scrape) -> float:
    after, earlier = (
        Scrape(snapshot.at, {service: snapshot.services.get(service, {})}).total(name) for snapshot in (now, before)
    )
    return _rate(after - earlier, now.at - before.at)


def _rate(grown: float, seconds: float) -> float:
    """0 for a counter that restarted."""
    return max(0.0, grown) / seconds if seconds > 0 else 0.0
