"""The pictures that experiments share: held-out score against what was spent, mean of the seeds with its error."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from infra.lab.experiment import Arm, Results
from infra.lab.results import LabRun
from infra.lab.statistics import SeedEstimate, mean_curve
from infra.report.style import colour_of

Cost = Callable[[LabRun], Sequence[float]]


def draw_curves(
    axes: Axes,
    arms: Sequence[Arm],
    results: Results,
    *,
    cost: Cost,
    label: str,
    ylabel: str = "held-out score",
    labels: Sequence[str] = (),
) -> None:
    """One line per arm that has results; the band is one standard error over the seeds. `labels` gives the arms' labels
    in the order of their colours, so that several axes agree; empty: that of `arms`.
    """
    labels = labels or [arm.label for arm in arms]
    for arm in arms:
        if arm.name not in results:
            continue
        index = labels.index(arm.label)
        x, mean, error = mean_curve(results[arm.name], cost)
        axes.plot(x, mean, color=colour_of(index), label=arm.label, linewidth=1.4)
        axes.fill_between(x, mean - error, mean + error, color=colour_of(index), alpha=0.15, linewidth=0)
    axes.set_xlabel(label)
    axes.set_ylabel(ylabel)
    if axes.get_lines():
        axes.legend(fontsize=7, frameon=False)


def draw_estimates(axes: Axes, names: Sequence[str], estimates: Sequence[SeedEstimate], label: str) -> None:
    """A dot with its interval per name, from the top."""
    for index, (name, one) in enumerate(zip(names, estimates, strict=True)):
        axes.plot([one.low, one.high], [-index, -index], color=colour_of(index), linewidth=2, alpha=0.5)
        axes.plot([one.value], [-index], "o", color=colour_of(index), label=name)
    axes.set_yticks([-index for index in range(len(names))], names)
    axes.set_xlabel(label)
