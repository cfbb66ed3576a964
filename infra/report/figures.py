"""Draws the report's figures as PNG bytes, off screen. Each function returns None if there is nothing to draw."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.report.collect import GroupRow
from infra.report.history import by_version, rates
from infra.report.shares import shares_by_version
from infra.report.style import GRID, INK, MUTED, colour_of, png
from infra.report.summary_statistics import running_mean
from infra.settings.domain_shares import DomainShare

REWARD_WINDOW_STEPS = 8
"""A step has two or three prompts per domain, so single steps are too noisy."""
_RATE_WINDOW_SECONDS = 15.0
_OUTCOME_COLOURS = {
    "trained": "#2a9d6f",
    "filtered": "#9aa5b1",
    "stale": "#e0a839",
    "expired": "#e07b39",
    "failed": "#c2395b",
    "open": "#cbd2d9",
}
_CURVE_POINTS = 3
"""With fewer points the curve would only repeat the picture of before and after."""
_COLOUR_OF_PART = {"policy": 0, "value": 1, "positive_nll": 2}
"""The same colour for a model in each of the learner's plots."""
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "frameon": False}
"""A legend above the axes, to the right of a short title."""
_BELOW: dict[str, Any] = {"loc": "outside lower center", "ncols": 6, "frameon": False}
"""A legend below the figure, for any number of domains."""
_BEFORE, _AFTER = "#9aa5b1", "#2f6fde"

_MARKERS = "osD^vP*X"
"""One for each line of a plot, so that they are told apart without their colours."""

Groups = Sequence[GroupRow]
History = Sequence[Mapping[str, Any]]


def heldout(results: Mapping[str, Any]) -> bytes | None:
    """Scores before and after by domain on the left; their difference with its interval on the right."""
    rows = [("overall", results["overall"]), *results["by_domain"].items()]
    rows = [(name, row) for name, row in rows if row["delta_ci95"] is not None]
    if not rows:
        return None
    figure = Figure(figsize=(10, 0.62 * len(rows) + 1.2), layout="constrained")
    scores, deltas = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = range(len(rows), 0, -1)
    for place, (_, row) in zip(places, rows, strict=True):
        scores.plot([row["before"], row["after"]], [place, place], color=GRID, linewidth=5, zorder=1)
        low, high = row["delta_ci95"]
        certain = _OUTCOME_COLOURS["trained"] if low > 0 else MUTED
        deltas.plot([low, high], [place, place], color=certain, linewidth=3, solid_capstyle="butt")
        deltas.plot(row["delta"], place, "o", color=certain, markersize=7)
    for label, colour in (("base", None), ("before", _BEFORE), ("after", _AFTER)):
        points = [(row[label], place) for place, (_, row) in zip(places, rows, strict=True) if row[label] is not None]
        if points:
            face = colour or "white"
            scores.plot(
                *zip(*points, strict=True),
                "o",
                markerfacecolor=face,
                markeredgecolor=colour or _BEFORE,
                markersize=9,
                label=label,
            )
    scores.set_yticks(list(places), [name for name, _ in rows])
    scores.set_xlim(-0.02, 1.02)
    scores.set_title("mean held-out score", loc="left")
    scores.legend(ncols=3, **_ABOVE)
    deltas.axvline(0, color=INK, linewidth=1)
    deltas.set_title("after - before, 95 % interval", loc="left")
    return png(figure, scores, deltas)


def heldout_curve(points: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Mean held-out score by version, overall with its interval, and by domain. None if nothing was evaluated during
    training.
    """
    whole = [point for point in points if point["complete"]]
    if len(whole) < _CURVE_POINTS:
        return None
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots()
    versions = [point["version"] for point in whole]
    for index, domain in enumerate(sorted({domain for point in whole for domain in point["by_domain"]})):
        means = [point["by_domain"].get(domain) for point in whole]
        axes.plot(
            versions,
            means,
            marker=_marker(index),
            markersize=4,
            color=colour_of(index),
            alpha=0.6,
            linewidth=1,
            label=domain,
        )
    axes.plot(versions, [point["overall"] for point in whole], "o-", color=INK, linewidth=2, label="overall")
    if all(point["overall_ci95"] for point in whole):
        low, high = zip(*(point["overall_ci95"] for point in whole), strict=True)
        axes.fill_between(versions, low, high, color=INK, alpha=0.08, linewidth=0)
    axes.set_ylim(0, 1)
    _label_versions(axes)
    axes.set_title("mean held-out score", loc="left")
    figure.legend(**_BELOW)
    return png(figure, axes)


def reward(groups: Groups) -> bytes | None:
    """Mean score of the training groups by domain, as a running mean over eight steps."""
    by_domain: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        if group.purpose == "train" and group.mean_score is not None and group.version is not None:
            by_domain[group.domain][group.version].append(group.mean_score)
    if not by_domain:
        return None
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots()
    for index, domain in enumerate(sorted(by_domain)):
        steps = sorted(by_domain[domain])
        means = [fmean(by_domain[domain][step]) for step in steps]
        axes.plot(steps, means, ".", color=colour_of(index), alpha=0.25, markersize=4)
        line = running_mean(means, REWARD_WINDOW_STEPS)
        axes.plot(steps, line, color=colour_of(index), label=domain, **_sparse(index, len(steps)))
    axes.set_ylim(0, 1)
    _label_versions(axes)
    axes.set_title(f"training reward (lines: mean of {REWARD_WINDOW_STEPS} steps; dots: single steps)", loc="left")
    figure.legend(**_BELOW)
    return png(figure, axes)


def shares(groups: Groups, asked: Mapping[str, DomainShare]) -> bytes | None:
    """The share of each domain in the trained groups, and the share that the settings ask for. None for one domain."""
    found = shares_by_version(groups, asked, REWARD_WINDOW_STEPS)
    if len(found) < 2 or not any(found.values()):
        return None
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots()
    for index, (domain, points) in enumerate(found.items()):
        dashed, line = zip(*points.values(), strict=True)
        axes.plot(list(points), dashed, "--", color=colour_of(index), linewidth=1)
        axes.plot(list(points), line, color=colour_of(index), label=domain, **_sparse(index, len(points)))
    axes.set_ylim(bottom=0)
    _label_versions(axes)
    axes.set_title(f"shares asked for (dashed) and trained in the last {REWARD_WINDOW_STEPS} versions", loc="left")
    figure.legend(**_BELOW)
    return png(figure, axes)


def learner(history: History) -> bytes | None:
    """Entropy, clip fraction, losses and gradient norms by version."""
    entropy = by_version(history, "entropy")
    if not entropy:
        return None
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    top, bottom = figure.subplots(2, 2, sharex=True)
    _plot_series(top[0], "entropy, nats per token", {"": entropy})
    _plot_series(top[1], "fraction of tokens clipped", {"": by_version(history, "clip_fraction")})
    _plot_series(bottom[0], "loss", _transpose(by_version(history, "loss")))
    _plot_series(bottom[1], "gradient norm before clipping", _transpose(by_version(history, "gradient_norm")))
    for axes in bottom:
        _label_versions(axes)
    return png(figure, *top, *bottom)


def throughput(history: History) -> bytes | None:
    """Tokens per second over the run, generated and trained on."""
    series = {
        "generated": rates(history, "generated_tokens", _RATE_WINDOW_SECONDS),
        "trained on (response tokens)": rates(history, "target_tokens", _RATE_WINDOW_SECONDS),
    }
    if not any(series.values()):
        return None
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots()
    for index, (label, points) in enumerate(series.items()):
        if points:
            axes.plot(*zip(*points, strict=True), color=colour_of(index), label=label, **_sparse(index, len(points)))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds since the start")
    axes.set_title("tokens per second", loc="left")
    figure.legend(**_BELOW)
    return png(figure, axes)


def outcomes(groups: Groups) -> bytes | None:
    """Groups by purpose and outcome on the left; the staleness of trained groups on the right."""
    if not groups:
        return None
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for group in groups:
        counts[group.purpose][group.outcome or "open"] += 1
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    bars, staleness = figure.subplots(1, 2, width_ratios=(3, 2))
    for purpose, by_outcome in sorted(counts.items(), reverse=True):
        left = 0
        for outcome, colour in _OUTCOME_COLOURS.items():
            if number := by_outcome.get(outcome, 0):
                bars.barh(purpose, number, left=left, color=colour, height=0.6)
                left += number
    for outcome, colour in _OUTCOME_COLOURS.items():
        if any(outcome in by_outcome for by_outcome in counts.values()):
            bars.barh([0], [0], color=colour, label=outcome)
    bars.set_title("groups by outcome", loc="left")
    bars.legend(ncols=3, fontsize=8, **_ABOVE)
    ages = [group.staleness for group in groups if group.outcome == "trained" and group.staleness is not None]
    if ages:
        staleness.bar(range(max(ages) + 1), [ages.count(age) for age in range(max(ages) + 1)], color=colour_of(0))
        staleness.set_xticks(range(max(ages) + 1))
    staleness.set_title("staleness of trained groups, in versions", loc="left")
    return png(figure, bars, staleness)


def _label_versions(axes: Axes) -> None:
    axes.set_xlabel("policy version")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plot_series(axes: Axes, title: str, series: Mapping[str, Mapping[int, float]]) -> None:
    for label, values in sorted(series.items()):
        points = [(version, value) for version, value in sorted(values.items()) if value is not None]
        if any(value for _, value in points):  # a loss or model that is off stays at 0
            axes.plot(*zip(*points, strict=True), color=colour_of(_COLOUR_OF_PART.get(label, 0)), label=label or None)
    axes.set_title(title, loc="left", fontsize=9)
    if any(series):
        axes.legend(frameon=False, fontsize=8)


def _transpose(values: Mapping[int, Mapping[str, float]]) -> dict[str, dict[int, float]]:
    """{version: {key: value}} -> {key: {version: value}}."""
    turned: dict[str, dict[int, float]] = defaultdict(dict)
    for version, entries in values.items():
        for key, value in entries.items():
            turned[key][version] = value
    return dict(turned)


def _marker(index: int) -> str:
    return _MARKERS[index % len(_MARKERS)]


def _sparse(index: int, points: int) -> dict[str, Any]:
    """A line's own marker, at a dozen of its points."""
    return {"marker": _marker(index), "markersize": 5, "markevery": max(1, points // 12)}
