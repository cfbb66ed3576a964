"""The run's time series: one JSON line a sample, written while it runs.

Invariant: a file that was cut off anywhere reads back up to its last whole line.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from infra.scrape import Scrape

FILE_NAME = "metrics.jsonl"

_GAUGES = {
    "policy_version": "rewardstream_policy_version",
    "engine_version": "rewardstream_engine_policy_version",
    "engine_running": "rewardstream_engine_running",
    "entropy": "rewardstream_learner_entropy",
    "clip_fraction": "rewardstream_learner_clip_share",
}
_COUNTERS = {
    "generated_tokens": "rewardstream_generated_tokens_total",
    "rollouts": "rewardstream_rollouts_total",
    "dead_letters": "rewardstream_dead_letters_total",
    "staleness_sum": "rewardstream_staleness_versions_sum",
    "staleness_count": "rewardstream_staleness_versions_count",
    "canaries": "rewardstream_canaries_total",
    "canary_false_positives": "rewardstream_canary_false_positives_total",
}
_LEARNER_TOKENS = "rewardstream_learner_tokens_total"
_LEARNER_KINDS = {"learner_tokens": "computed", "target_tokens": "target"}
"""All tokens of the learner's rows, prompts included; the response tokens that carry loss."""
_BY_LABEL = {
    "reward": ("rewardstream_learner_reward", "domain"),
    "loss": ("rewardstream_learner_loss", "kind"),
    "gradient_norm": ("rewardstream_learner_gradient_norm", "model"),
    "logprob_diff": ("rewardstream_learner_logprob_difference", "kind"),
    "step_seconds": ("rewardstream_learner_step_seconds_sum", "phase"),
    "scorer_requests": ("rewardstream_scorer_requests_total", "scorer"),
}


def row(snapshot: Scrape, started: float, phase: str) -> dict[str, Any]:
    """What is kept of a snapshot. `started`: Unix seconds of the run's start."""
    return (
        {"seconds": round(snapshot.at - started, 1), "phase": phase}
        | {name: snapshot.largest(metric) for name, metric in _GAUGES.items()}
        | {name: snapshot.total(metric) for name, metric in _COUNTERS.items()}
        | {name: snapshot.total(_LEARNER_TOKENS, kind=kind) for name, kind in _LEARNER_KINDS.items()}
        | {name: snapshot.by(metric, label) for name, (metric, label) in _BY_LABEL.items()}
    )


class HistoryWriter:
    """Appends rows to `metrics.jsonl` in the run's folder. Raises OSError, as on a full disk."""

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
    """Empty where the run kept none."""
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
    """How far a counter went; one that falls was restarted with its process, and counts on from zero."""
    total, last = 0.0, 0.0
    for values in rows:
        value = float(values.get(name) or 0.0)
        total += value - last if value >= last else value
        last = value
    return total


def by_version(rows: Sequence[Mapping[str, Any]], name: str) -> dict[int, Any]:
    """The last value seen at each policy version: the learner's gauges hold those of its last step."""
    return {int(values["policy_version"]): values[name] for values in rows if values.get("policy_version")}


def rates(rows: Sequence[Mapping[str, Any]], name: str, window_seconds: float) -> list[tuple[float, float]]:
    """(seconds, increase a second) of a counter over windows; a silent or restarted process makes no negative rate."""
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
