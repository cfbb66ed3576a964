"""The run's time series: one JSON line per sample, written while the run goes on.

Invariant: a file that was cut off at any byte can be read up to its last complete line.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from infra.files.run_files import SERIES_FILE
from infra.scalars import FlowMetrics, LearningMetrics, ScoringMetrics
from infra.scrape import Scrape

FILE_NAME = SERIES_FILE

_GAUGES = {
    "policy_version": LearningMetrics.policy_version.series,
    "engine_version": FlowMetrics.engine_policy_version.series,
    "engine_running": FlowMetrics.engine_running.series,
    "entropy": LearningMetrics.learner_entropy.series,
    "clip_fraction": LearningMetrics.learner_clip_fraction.series,
}
_COUNTERS = {
    "generated_tokens": FlowMetrics.generated_tokens_total.series,
    "rollouts": FlowMetrics.rollouts_total.series,
    "dead_letters": FlowMetrics.dead_letters_total.series,
    "staleness_sum": f"{LearningMetrics.staleness_versions.series}_sum",
    "staleness_count": f"{LearningMetrics.staleness_versions.series}_count",
    "canaries": ScoringMetrics.canaries_total.series,
    "canary_false_positives": ScoringMetrics.canary_false_positives_total.series,
}
_LEARNER_KINDS = {"learner_tokens": "computed", "target_tokens": "target"}
"""`computed` counts all tokens of the learner's rows, prompts included; `target` the response tokens that carry
loss."""
_BY_LABEL = {
    "reward": (LearningMetrics.learner_reward.series, "domain"),
    "loss": (LearningMetrics.learner_loss.series, "kind"),
    "gradient_norm": (LearningMetrics.learner_gradient_norm.series, "model"),
    "logprob_diff": (LearningMetrics.learner_logprob_diff.series, "kind"),
    "step_seconds": (f"{LearningMetrics.learner_step_seconds.series}_sum", "phase"),
    "scorer_requests": (ScoringMetrics.scorer_requests_total.series, "scorer"),
}


def row(scrape: Scrape, started: float, phase: str) -> dict[str, Any]:
    """Returns the values of a scrape that are kept. `started`: Unix seconds of the run's start."""
    return (
        {"seconds": round(scrape.at - started, 1), "phase": phase}
        | {name: scrape.largest(metric) for name, metric in _GAUGES.items()}
        | {name: scrape.total(metric) for name, metric in _COUNTERS.items()}
        | {
            name: scrape.total(LearningMetrics.learner_tokens_total.series, kind=kind)
            for name, kind in _LEARNER_KINDS.items()
        }
        | {name: scrape.by(metric, label) for name, (metric, label) in _BY_LABEL.items()}
    )


class HistoryWriter:
    """Appends rows to `metrics.jsonl` in the run's folder. Raises OSError, e.g. on a full disk."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] = (folder / FILE_NAME).open("a", encoding="utf-8")

    def append(self, values: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """Returns the rows of the run's folder, oldest first; none if there is no file."""
    path = folder / FILE_NAME
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def increase(rows: Iterable[Mapping[str, Any]], name: str) -> float:
    """Returns how much a counter grew in total. A counter that falls was reset by a restart and counts from zero
    again.
    """
    total, last = 0.0, 0.0
    for values in rows:
        value = float(values.get(name) or 0.0)
        total += value - last if value >= last else value
        last = value
    return total


def by_version(rows: Sequence[Mapping[str, Any]], name: str) -> dict[int, Any]:
    """Returns the last value at each policy version, which is the learner's gauge after the version's step. Rows of an
    older release may lack the name.
    """
    after_steps = (values for values in rows if values.get("policy_version") and name in values)
    return {int(values["policy_version"]): values[name] for values in after_steps}


def rates(rows: Sequence[Mapping[str, Any]], name: str, window_seconds: float) -> list[tuple[float, float]]:
    """Returns (seconds, increase per second) of a counter, by window. Rates are never negative, even if a process is
    silent or was restarted.
    """
    points: list[tuple[float, float]] = []
    start = 0
    for end in range(1, len(rows)):
        seconds = rows[end]["seconds"] - rows[start]["seconds"]
        if seconds < window_seconds:
            continue
        window = rows[start : end + 1]
        grown = increase(window, name) - float(window[0].get(name) or 0.0)
        points.append((rows[end]["seconds"], max(grown, 0.0) / seconds))
        start = end
    return points
