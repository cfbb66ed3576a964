"""This process's metrics as a scraper reads them. All tests of a process share the registry, so counters are only
compared with themselves.
"""

from prometheus_client import REGISTRY

PREFIX = "rewardstream_"


def metric_value(name: str, **labels: str) -> float:
    """A gauge's; 0 if nothing was ever set."""
    return REGISTRY.get_sample_value(PREFIX + name, labels) or 0.0


class MetricChange:
    """How far a sample has moved since this object was made: `change("canaries_total")`."""

    def __init__(self) -> None:
        self._before = _samples()

    def __call__(self, name: str, **labels: str) -> float:
        assert any(known.startswith(PREFIX + name) for known, _ in _samples()), f"no metric {name}"
        return metric_value(name, **labels) - self._before.get((PREFIX + name, frozenset(labels.items())), 0.0)


def _samples() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in REGISTRY.collect()
        if family.name.startswith(PREFIX)
        for sample in family.samples
    }
