"""The picture of an evaluation: each model's results by skill and domain with their intervals, and the difference."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.report.style import INK, MUTED, colour_of, png

_GAINED, _LOST = "#2a9d6f", "#c2395b"
_ROW_INCHES = 0.5
_APART = 0.22
"""Distance between the points of one row, in rows."""

Row = Mapping[str, Any]


def evaluation(summary: Mapping[str, Any]) -> bytes | None:
    """One model: a panel with its metrics. Two models: a panel with both, and one with their paired difference in the
    first metric. Returns a PNG, or None if no prompt has its scores.
    """
    compared = summary["comparison"]
    rows: Sequence[Row] = compared["rows"] if compared else summary["models"][0]["rows"]
    if not rows:
        return None
    figure = Figure(figsize=(11 if compared else 8.5, _ROW_INCHES * len(rows) + 1.5), layout="constrained")
    if compared is None:
        axes = figure.subplots()
        _metrics(axes, summary, rows)
        return png(figure, axes)
    scores, differences = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _models(scores, summary, rows)
    _differences(differences, summary["metrics"][0], rows)
    return png(figure, scores, differences)


def _metrics(axes: Axes, summary: Mapping[str, Any], rows: Sequence[Row]) -> None:
    for number, name in enumerate(summary["metrics"]):
        points = [row["metrics"].get(name) for row in rows]
        _points(axes, points, _offset(number, len(summary["metrics"])), colour_of(number), name)
    _finish(axes, rows, f"{_short(summary['models'][0]['model'])}: scores by skill and domain, 95 % intervals")


def _models(axes: Axes, summary: Mapping[str, Any], rows: Sequence[Row]) -> None:
    name = summary["metrics"][0]
    for number, model in enumerate(summary["models"]):
        by_part = {(row["kind"], row["name"]): row["metrics"].get(name) for row in model["rows"]}
        points = [by_part.get((row["kind"], row["name"])) for row in rows]
        _points(axes, points, _offset(number, 2), colour_of(number), _short(model["model"]))
    _finish(axes, rows, f"{name}, 95 % intervals")


def _points(axes: Axes, points: Sequence[Row | None], offset: float, colour: str, label: str) -> None:
    places = [(len(points) - index - offset, point) for index, point in enumerate(points) if point is not None]
    for place, point in places:
        axes.plot(point["ci95"], [place, place], color=colour, linewidth=2, alpha=0.5, solid_capstyle="butt")
    values = [point["value"] for _, point in places]
    axes.plot(values, [place for place, _ in places], "o", color=colour, markersize=6, label=label)


def _differences(axes: Axes, metric: str, rows: Sequence[Row]) -> None:
    for index, row in enumerate(rows):
        found = row["metrics"].get(metric)
        if found is None:
            continue
        place, (low, high) = len(rows) - index, found["ci95"]
        colour = _GAINED if low > 0 else _LOST if high < 0 else MUTED
        axes.plot([low, high], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(found["difference"], place, "o", color=colour, markersize=7)
        axes.annotate(
            f"p {found['p']:.2g}",
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=MUTED,
        )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_title("second - first, paired by prompt", loc="left")


def _finish(axes: Axes, rows: Sequence[Row], title: str) -> None:
    axes.set_yticks([len(rows) - index for index in range(len(rows))], [_label(row) for row in rows])
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.set_title(title, loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.04), frameon=False, ncols=4, fontsize=8)


def _label(row: Row) -> str:
    prefix = "" if row["kind"] == "overall" else f"{row['kind']}: "
    return f"{prefix}{row['name'].replace('_', ' ')} ({row['prompts']})"


def _offset(number: int, count: int) -> float:
    return (number - (count - 1) / 2) * _APART


def _short(model: str) -> str:
    """The end of a long path."""
    return model if len(model) <= 40 else f"...{model[-37:]}"
