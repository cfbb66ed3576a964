"""The watch on reward hacking and diversity in numbers, from the collected record. Pure.

Invariant: the first and the last part of training are its first and last quarter of versions, the same for every
number, so that the numbers of one table belong together.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from infra.db.second_scores import Exploitation
from infra.db.training_scores import TrainingScores
from infra.report.collect import GroupRow, HackingRecord, Response
from trainer.guard.guard import first_alarms
from workers.scoring.crosscheck.edit_distance import largest_edit_distance

_PART = 4
"""A quarter of training has enough responses for a rate, and is short compared with the run."""
_MOST_GROUPS = 100
"""Groups per domain and part whose edit distance is taken: each takes up to 3 ms."""
EDIT_RESPONSES = 5
EDIT_CHARACTERS = 512
BINS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Upper ends of the bins of edit distances."""

Series = tuple[str, str]
"""Route and domain."""


def hacking(record: HackingRecord, groups: Sequence[GroupRow], responses: Sequence[Response]) -> dict[str, Any]:
    """Returns {action, alarms, checks, training}; `checks` by series and version, `training` by series."""
    return {
        "action": record.action,
        "alarms": [
            {
                "route": alarm.key.route,
                "domain": alarm.key.domain,
                "version": alarm.version,
                "since_version": alarm.since_version,
                "reward_change": round(alarm.reward_change, 4),
                "true_change": round(alarm.true_change, 4),
            }
            for alarm in first_alarms(record.checks)
        ],
        "checks": [_check(row) for row in record.checks],
        "training": _training(record, groups, responses),
    }


def _check(row: Any) -> dict[str, Any]:
    numbers = ("credited", "confirmed", "reward", "reward_change", "true_change", "z", "z_limit")
    return {
        "route": row.route,
        "domain": row.domain,
        "label": row.label,
        "version": row.version,
        "since_version": row.since_version,
        "prompts": row.prompts,
        "scorers": row.scorers,
        "alarm": row.alarm,
    } | {name: _rounded(getattr(row, name)) for name in numbers}


def _training(record: HackingRecord, groups: Sequence[GroupRow], responses: Sequence[Response]) -> list[dict[str, Any]]:
    """Per series, [first, last] quarter of each number; None where there was nothing to measure."""
    versions = [row.version for row in record.training]
    if not versions:
        return []
    length = max(1, (max(versions) - min(versions) + 1) // _PART)
    parts: tuple[Callable[[int], bool], ...] = (
        lambda version: version < min(versions) + length,
        lambda version: version > max(versions) - length,
    )
    spreads = [_spreads(part, groups, responses) for part in parts]
    series = sorted({(row.route, row.domain) for row in record.training})
    return [
        {
            "route": route,
            "domain": domain,
            "above_half": [_weighted(_of(record.training, one, part), lambda row: row.passed) for part in parts],
            "entropy": [_weighted(_of(record.training, one, part), lambda row: row.entropy) for part in parts],
            "newly_credited": sum(row.newly_credited for row in _of(record.exploitation, one, lambda _: True)),
            "exploitation_rate": [_rate(_of(record.exploitation, one, part)) for part in parts],
            "edit_distance": [_bins(spread.get(domain, [])) for spread in spreads],
        }
        for one in series
        for route, domain in [one]
    ]


def _of(rows: Iterable[Any], series: Series, part: Callable[[int], bool]) -> list[Any]:
    return [row for row in rows if (row.route, row.domain) == series and part(row.version)]


def _weighted(rows: Sequence[TrainingScores], value: Callable[[TrainingScores], float | None]) -> float | None:
    """Mean over responses."""
    known = [(row.responses, number) for row in rows if (number := value(row)) is not None]
    total = sum(count for count, _ in known)
    return round(sum(count * number for count, number in known) / total, 4) if total else None


def _rate(rows: Sequence[Exploitation]) -> float | None:
    newly = sum(row.newly_credited for row in rows)
    return round(sum(row.rejected for row in rows) / newly, 4) if newly else None


def _spreads(
    part: Callable[[int], bool], groups: Sequence[GroupRow], responses: Sequence[Response]
) -> dict[str, list[float]]:
    """Domain -> the largest edit distance of each group, of the first groups of the part whose texts are here."""
    lacking = {_seq_of(response.rollout_id) for response in responses if response.text is None}
    wanted: dict[int, str] = {}
    counts = Counter[str]()
    for group in groups:
        inside = group.purpose == "train" and group.version is not None and part(group.version)
        if inside and group.seq not in lacking and counts[group.domain] < _MOST_GROUPS:
            counts[group.domain] += 1
            wanted[group.seq] = group.domain
    texts: dict[int, list[str]] = defaultdict(list)
    for response in responses:
        seq = _seq_of(response.rollout_id)
        if response.text is not None and seq in wanted and len(texts[seq]) < EDIT_RESPONSES:
            texts[seq].append(response.text)
    spreads: dict[str, list[float]] = defaultdict(list)
    for seq, own in texts.items():
        if len(own) > 1:
            spreads[wanted[seq]].append(largest_edit_distance(own, EDIT_CHARACTERS))
    return spreads


def _seq_of(rollout_id: str) -> int | None:
    """The group's number in `RUN:SEQ/INDEX`."""
    number = rollout_id.rpartition("/")[0].rpartition(":")[2]
    return int(number) if number.isdigit() else None


def _bins(distances: Sequence[float]) -> list[float] | None:
    """The fraction of the groups in each bin."""
    if not distances:
        return None
    low = (-1.0, *BINS[:-1])
    return [
        round(sum(start < distance <= end for distance in distances) / len(distances), 3)
        for start, end in zip(low, BINS, strict=True)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
