"""The screen's content, from two scrapes and the run's facts. Pure: no clock, no terminal, no query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.advice.advisories import Advisory
from infra.scalars import FlowMetrics, LearningMetrics, ScoringMetrics
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
    activity: str = ""


@dataclass(frozen=True, slots=True)
class TopicRow:
    topic: str
    stage: str
    """The stage that reads the topic."""
    records: float
    rate: float
    """Records per second since the previous scrape."""
    lag: float | None
    """Records not yet read; None if the stage does not report it."""


@dataclass(frozen=True, slots=True)
class DomainRow:
    domain: str
    reward: float | None
    """Mean training reward over the latest steps."""
    heldout: dict[str, float]
    """Label -> mean score, in the order of measurement."""
    asked: float | None = None
    """The share of the groups that the domain is to get."""
    trained: float | None = None
    """Its share of the groups that were trained lately."""
    all_groups: float | None = None
    """Mean score of its latest groups, filtered ones included."""


@dataclass(frozen=True, slots=True)
class View:
    run_id: str
    broker: str
    elapsed: float
    phase: str
    version: int
    generated_rate: float
    """Tokens per second."""
    trained_rate: float
    """Tokens per second."""
    processes: Sequence[ProcessRow] = ()
    topics: Sequence[TopicRow] = ()
    domains: Sequence[DomainRow] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    staleness: Mapping[int, int] = field(default_factory=dict)
    advice: Sequence[Advisory] = ()
    """What the run lacks and what to do, the most urgent first."""
    page: str = ""
    """Address of the run's page; empty if it has none."""


class Rewards:
    """Running mean of each domain's reward over the latest versions; single steps are too noisy."""

    def __init__(self, window: int = 8) -> None:
        self._window = window
        self._by_domain: dict[str, dict[int, float]] = {}

    def update(self, scrape: Scrape) -> dict[str, float]:
        version = int(scrape.largest(LearningMetrics.policy_version.series) or 0)
        for domain, reward in scrape.by(LearningMetrics.learner_reward.series, "domain").items():
            steps = self._by_domain.setdefault(domain, {})
            latest = next(reversed(steps.values()), None)
            if reward != latest:  # the gauge of a domain that is not in a step does not change
                steps[version] = reward
            while len(steps) > self._window:
                del steps[next(iter(steps))]
        return {domain: sum(steps.values()) / len(steps) for domain, steps in self._by_domain.items()}


def topic_rows(now: Scrape, before: Scrape, prefix: str) -> list[TopicRow]:
    """Returns one row per topic and stage that reads it."""
    name = FlowMetrics.messages_total.series
    stages = now.by(name, "stage")
    rows = []
    for stage in sorted(stages):
        for topic, records in sorted(now.by(name, "topic", stage=stage).items()):
            lag = now.by(FlowMetrics.consumer_lag_messages.series, "topic", stage=stage).get(topic)
            earlier = before.by(name, "topic", stage=stage).get(topic, 0.0)
            bare = topic.removeprefix(f"{prefix}.") if prefix else topic
            rows.append(TopicRow(bare, stage, records, _rate(records - earlier, now.at - before.at), lag))
    return sorted(rows, key=lambda row: (row.topic, row.stage))


def domain_rows(
    rewards: Mapping[str, float],
    heldout: Mapping[str, Mapping[str, float]],
    asked: Mapping[str, float],
    trained: Mapping[str, float],
    all_groups: Mapping[str, float] | None = None,
) -> list[DomainRow]:
    of_all = all_groups or {}
    domains = sorted({*rewards, *asked, *of_all, *(domain for means in heldout.values() for domain in means)})
    domains.sort(key=lambda domain: domain == "overall")  # last
    return [
        DomainRow(
            domain,
            rewards.get(domain),
            {label: means[domain] for label, means in heldout.items() if domain in means},
            asked.get(domain),
            trained.get(domain),
            of_all.get(domain),
        )
        for domain in domains
    ]


def domain_shares(scrape: Scrape, kind: str) -> dict[str, float]:
    """Domain -> share of a kind, `asked` or `trained`."""
    return scrape.by(FlowMetrics.domain_share.series, "domain", kind=kind)


def token_rates(now: Scrape, before: Scrape) -> tuple[float, float]:
    """Returns (generated, trained on) in tokens per second."""
    seconds = now.at - before.at
    names = (FlowMetrics.generated_tokens_total.series, LearningMetrics.learner_tokens_total.series)
    labels: tuple[dict[str, str], ...] = ({}, {"kind": "target"})
    generated, trained = (
        _rate(now.total(name, **kinds) - before.total(name, **kinds), seconds)
        for name, kinds in zip(names, labels, strict=True)
    )
    return generated, trained


def activity(name: str, now: Scrape, before: Scrape, facts: RunFactsNow) -> str:
    """Describes in a few words what a process does."""
    if name in now.silent:
        return "does not answer"
    own = Scrape(now.at, {name: now.services.get(name, {})})
    away = own.by(FlowMetrics.outage_seconds.series, "part")
    if any(away.values()):
        part = max(away, key=lambda part: away[part])
        return f"waits for the {part} ({away[part]:.0f} s)"
    if own.largest(ScoringMetrics.scorer_unavailable.series):
        return "its scorer does not answer"
    generated, trained = token_rates(now, before)
    version = int(now.largest(LearningMetrics.policy_version.series) or 0)
    held = int(now.largest(FlowMetrics.engine_policy_version.series) or 0)
    running = int(now.largest(FlowMetrics.engine_running.series) or 0)
    entropy = now.largest(LearningMetrics.learner_entropy.series) or 0.0
    verdicts = _verdict_rate(name, now, before)
    texts = {
        "selector": f"phase {facts.phase}, {facts.outcomes.get('open', 0)} groups open",
        "rollout": f"{running} responses, {generated:.0f} tok/s, version {held}",
        "learner": f"version {version}, {trained:.0f} tok/s, entropy {entropy:.2f}" if version else "no step yet",
        "rtv": f"{verdicts:.1f} verdicts/s",
        "genrm": f"{verdicts:.1f} verdicts/s",
    }
    return texts.get(name, f"{_stage_rate(name, now, before):.1f} records/s")


def _verdict_rate(service: str, now: Scrape, before: Scrape) -> float:
    """Reads the process's own counter."""
    return _own_rate(service, ScoringMetrics.scorer_requests_total.series, now, before)


def _stage_rate(service: str, now: Scrape, before: Scrape) -> float:
    return _own_rate(service, FlowMetrics.messages_total.series, now, before)


def _own_rate(service: str, name: str, now: Scrape, before: Scrape) -> float:
    after, earlier = (
        Scrape(scrape.at, {service: scrape.services.get(service, {})}).total(name) for scrape in (now, before)
    )
    return _rate(after - earlier, now.at - before.at)


def _rate(grown: float, seconds: float) -> float:
    """Returns 0 for a counter that was reset by a restart."""
    return max(0.0, grown) / seconds if seconds > 0 else 0.0
