"""The picture of a judge's evaluation: how often a score is right, and accuracy by domain."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infra.report.style import GRID, INK, MUTED, colour_of, png
from trainer.reward_models.evaluate_judge import JudgeEvaluation

_LEAST_AREA, _AREA = 20.0, 380.0
"""Areas of a bin's point: of an empty one, and what the fullest bin adds."""


def reliability_picture(found: JudgeEvaluation) -> bytes:
    """Returns a PNG."""
    rows = [*found.domains.items(), ("overall", found.overall)]
    figure = Figure(figsize=(10, max(4.2, 0.4 * len(rows) + 2.2)), layout="constrained")
    calibration, accuracies = figure.subplots(1, 2, width_ratios=(1, 1))
    _draw_calibration(calibration, found)
    _draw_accuracies(accuracies, found)
    figure.suptitle(f"{found.judge} {found.version}", x=0.01, ha="left", fontsize=10, color=MUTED)
    return png(figure, calibration, accuracies)


def _draw_calibration(axes: Axes, found: JudgeEvaluation) -> None:
    bins = found.reliability
    most = max(one.count for one in bins)
    places, shares = [one.confidence for one in bins], [one.frequency for one in bins]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.vlines(places, places, shares, color=GRID, linewidth=3, zorder=2)
    axes.scatter(
        places, shares, s=[_LEAST_AREA + _AREA * one.count / most for one in bins], color=colour_of(0), zorder=3
    )
    for one in bins:
        axes.annotate(
            str(one.count),
            (one.confidence, one.frequency),
            (0, 12),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=INK,
        )
    axes.set_xlim(-0.05, 1.05)
    axes.set_ylim(-0.08, 1.12)
    axes.set_aspect("equal")
    axes.set_xlabel("mean score in the bin")
    axes.set_ylabel("fraction that is right", color=MUTED)
    axes.set_title(f"calibration, ECE {found.overall.ece:.3f} (triples per bin)", loc="left")


def _draw_accuracies(axes: Axes, found: JudgeEvaluation) -> None:
    rows = [*found.domains.items(), ("overall", found.overall)]
    places = list(range(len(rows), 0, -1))
    axes.plot([row.accuracy for _, row in rows], places, "o", color=colour_of(0), markersize=9, label="accuracy")
    ranked = [(row.auc, place) for (_, row), place in zip(rows, places, strict=True) if row.auc is not None]
    axes.plot([auc for auc, _ in ranked], [place for _, place in ranked], "D", color=colour_of(1), label="AUC")
    axes.axvline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [f"{name} ({row.triples})" for name, row in rows])
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.legend(loc="lower right", frameon=False, ncols=2, bbox_to_anchor=(1, 1), fontsize=8)
    axes.set_title("by domain (triples)", loc="left")
