"""A Prometheus histogram whose observations have counts: a million tokens of three ages take three calls."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import Lock

from prometheus_client.core import REGISTRY, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry


class WeightedHistogram(Collector):
    """Exports cumulative buckets, count and sum, as an unlabelled histogram of prometheus_client does."""

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry = REGISTRY
    ) -> None:
        """`buckets`: ascending upper bounds; infinity is added."""
        self._name, self._documentation = name, documentation
        self._bounds = [*map(float, buckets), float("inf")]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        self._lock = Lock()
        registry.register(self)

    def observe(self, value: float, count: int = 1) -> None:
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += count
            self._sum += value * count

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        cumulative = [sum(counts[: number + 1]) for number in range(len(counts))]
        bounds = [*map(str, self._bounds[:-1]), "+Inf"]
        buckets = list(zip(bounds, map(float, cumulative), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=buckets, sum_value=total)
