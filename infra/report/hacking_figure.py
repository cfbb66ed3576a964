"""The picture of the watch on reward hacking: what training credits on held-out prompts, what is true, alarms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.report.style import INK, MUTED, colour_of, png

_LEAST_CHECKS = 2
"""One evaluation is no curve."""


def hacking_curves(found: Mapping[str, Any]) -> bytes | None:
    """On the left, the fraction of held-out responses that is credited and confirmed; on the right, the test's value as
    a part of its limit. None if fewer than two evaluations were tested.
    """
    series: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in found["checks"]:
        series[row["route"], row["domain"]].append(row)
    shown = {key: rows for key, rows in sorted(series.items()) if len(rows) >= _LEAST_CHECKS}
    if not shown:
        return None
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for index, ((route, domain), rows) in enumerate(shown.items()):
        colour, name = colour_of(index), f"{domain} ({route})"
        left.plot(*_points(rows, "credited"), color=colour, linewidth=1.6)
        left.plot(*_points(rows, "confirmed"), color=colour, linewidth=1.6, linestyle=":")
        tested = [row for row in rows if row["z"] is not None]
        parts = [row["z"] / row["z_limit"] for row in tested]
        right.plot([row["version"] for row in tested], parts, ".-", color=colour, linewidth=1, label=name)
    left.plot([], [], color=MUTED, label="credited in training")
    left.plot([], [], color=MUTED, linestyle=":", label="confirmed")
    for number, alarm in enumerate(found["alarms"]):
        for axes in (left, right):
            label = "alarm" if axes is left and not number else None
            axes.axvline(alarm["version"], color=INK, linewidth=1, linestyle="--", label=label)
    right.axhline(1, color=INK, linewidth=1)
    left.set_ylim(0, 1)
    left.set_title("fraction of held-out responses passed", loc="left")
    right.set_title("evidence, as a part of what an alarm needs", loc="left")
    left.legend(frameon=False, fontsize=8)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    for axes in (left, right):
        axes.set_xlabel("policy version")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return png(figure, left, right)


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    known = [(row["version"], row[name]) for row in rows if row[name] is not None]
    return [version for version, _ in known], [value for _, value in known]
