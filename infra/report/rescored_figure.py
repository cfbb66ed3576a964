"""The picture of a rescore: mean scores and changed verdicts by domain, and a grid of old and new scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.report.style import GRID, INK, MUTED, colour_of, png

_RIGHT, _WRONG = "#2a9d6f", "#c2395b"
_OLD, _NEW = "#9aa5b1", colour_of(0)
_COUNTS = LinearSegmentedColormap.from_list("counts", ["#eaf1fd", colour_of(0), "#12306b"])
_LABELLED_CELLS = 24
"""With more filled cells the numbers would be unreadable, and a colour bar replaces them."""


def changes(summary: Mapping[str, Any]) -> bytes | None:
    """Returns a PNG, or None if no rollout has both scores."""
    rows = [("overall", summary["overall"]), *summary["by_domain"].items()]
    rows = [(name, row) for name, row in rows if row["old_mean"] is not None]
    if not rows:
        return None
    figure = Figure(figsize=(12, max(3.4, 0.55 * len(rows) + 1.6)), layout="constrained")
    means, flips, grid = figure.subplots(1, 3, width_ratios=(4, 4, 3.4))
    places = range(len(rows), 0, -1)
    _means(means, rows, places)
    _flips(flips, rows, places)
    _grid(figure, grid, summary["histogram"])
    figure.suptitle(
        f"{summary['scorer']} on the rollouts of run {summary['run']}, compared with "
        f"{', '.join(summary['old_scorers'])}",
        x=0.01,
        ha="left",
        fontsize=10,
        color=MUTED,
    )
    return png(figure, means, flips, grid)


def _means(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]], places: Sequence[int]) -> None:
    for place, (_, row) in zip(places, rows, strict=True):
        axes.plot([row["old_mean"], row["new_mean"]], [place, place], color=GRID, linewidth=5, zorder=1)
    for name, colour in (("old", _OLD), ("new", _NEW)):
        axes.plot([row[f"{name}_mean"] for _, row in rows], list(places), "o", color=colour, markersize=9, label=name)
    axes.set_yticks(list(places), [f"{name} ({row['rollouts']})" for name, row in rows])
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.set_title("mean score (number of rollouts)", loc="left")
    axes.legend(
        loc="lower right", frameon=False, ncols=2, bbox_to_anchor=(1, 1), fontsize=8, handletextpad=0.2, columnspacing=1
    )


def _flips(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]], places: Sequence[int]) -> None:
    for place, (_, row) in zip(places, rows, strict=True):
        for count, sign, colour in ((row["became_right"], 1, _RIGHT), (row["became_wrong"], -1, _WRONG)):
            axes.barh(place, sign * count, color=colour, height=0.55)
            if count:
                axes.annotate(
                    str(count),
                    (sign * count, place),
                    (4 * sign, 0),
                    textcoords="offset points",
                    va="center",
                    ha="left" if sign > 0 else "right",
                    fontsize=8,
                    color=INK,
                )
    most = max((max(row["became_right"], row["became_wrong"]) for _, row in rows), default=0) or 1
    axes.set_xlim(-1.25 * most, 1.25 * most)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_yticks(list(places), [])
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_title("rollouts that became wrong | right", loc="left")


def _grid(figure: Figure, axes: Axes, counts: Sequence[Sequence[int]]) -> None:
    """Old score on the x axis, new score on the y axis; cells on the diagonal did not change."""
    bins = len(counts)
    turned = [[counts[old][new] or float("nan") for old in range(bins)] for new in range(bins)]
    filled = [(old, new, counts[old][new]) for old in range(bins) for new in range(bins) if counts[old][new]]
    most = max(count for *_, count in filled)
    image = axes.imshow(
        turned, origin="lower", extent=(0, 1, 0, 1), cmap=_COUNTS, norm=LogNorm(1, max(most, 2)), aspect="equal"
    )
    image.set_zorder(2)  # above the grid and the diagonal
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    if len(filled) <= _LABELLED_CELLS:
        for old, new, count in filled:
            dark = count > most**0.4
            place = ((old + 0.5) / bins, (new + 0.5) / bins)
            axes.text(
                *place, str(count), ha="center", va="center", fontsize=7, color="white" if dark else INK, zorder=3
            )
    else:
        bar = figure.colorbar(image, ax=axes, shrink=0.8, format="{x:g}")
        bar.outline.set_visible(False)
        bar.ax.tick_params(which="both", colors=MUTED, labelsize=8, length=0)
    axes.set_xlabel("old score")
    axes.set_ylabel("new score", color=MUTED)
    axes.set_title("rollouts by old and new score", loc="left")
