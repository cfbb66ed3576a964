"""What runs at several staleness bounds S say together: time to a held-out score, final scores, tables, a picture.

Invariant: runs are compared seed by seed with the synchronous one (S = 0) of the same seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infra.report.style import colour_of, png

REACHED = 0.8
"""The score that is timed: this share of the smallest gain of any S, over the mean score before training."""
STUDENT = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""97.5 % quantiles of Student's t, by number of seeds."""


@dataclass(frozen=True, slots=True)
class Run:
    staleness: int
    seed: int
    curve: tuple[tuple[int, float, float], ...]
    """(version, seconds of training, held-out score), from before training on."""
    steps: int
    train_seconds: float
    tokens_per_second: float
    token_staleness: float
    """Mean over the steps."""
    oldest: int
    """Versions, of any group trained on."""
    entropy: tuple[float, float]
    """Means of the first and of the last tenth of the steps."""
    violations: int

    @property
    def final(self) -> float:
        return self.curve[-1][2]

    @property
    def peak(self) -> float:
        return max(score for *_, score in self.curve)


def run_of(staleness: int, seed: int, summary: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Run:
    """From a run's summary.json and steps.jsonl. Raises ValueError where nothing was measured."""
    points = [p for p in summary["heldout_by_version"] if p["complete"] and p["seconds"] is not None]
    if not points:
        raise ValueError(f"{summary['run']} has no held-out measurement: is selector.eval_every_versions set?")
    tenth = max(1, len(steps) // 10)
    train_seconds = summary["phase_seconds"]["train"]
    return Run(
        staleness=staleness,
        seed=seed,
        curve=tuple((p["version"], p["seconds"], p["overall"]) for p in points),
        steps=summary["policy_versions"],
        train_seconds=train_seconds,
        tokens_per_second=sum(step["targets"] for step in steps) / train_seconds,
        token_staleness=fmean(step["token_staleness"] for step in steps),
        oldest=max(max(step["staleness"]) for step in steps),
        entropy=(fmean(s["entropy"] for s in steps[:tenth]), fmean(s["entropy"] for s in steps[-tenth:])),
        violations=len(summary["audit"]["violations"]),
    )


def default_target(runs: Sequence[Run]) -> float:
    before = fmean(run.curve[0][2] for run in runs)
    gains = [fmean(run.final for run in same) - before for same in by_staleness(runs).values()]
    return round(before + REACHED * min(gains), 3)


def seconds_to(run: Run, target: float) -> float | None:
    """When the line through the run's points first reaches the score; None where it never does."""
    last: tuple[float, float] | None = None
    for _, seconds, score in run.curve:
        if score >= target:
            if last is None or score == last[1]:
                return seconds
            return last[0] + (seconds - last[0]) * (target - last[1]) / (score - last[1])
        last = (seconds, score)
    return None


def by_staleness(runs: Sequence[Run]) -> dict[int, list[Run]]:
    bounds = sorted({run.staleness for run in runs})
    return {bound: sorted((r for r in runs if r.staleness == bound), key=lambda r: r.seed) for bound in bounds}


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % of the mean, by Student's t; None for a single value."""
    if len(values) not in STUDENT:
        return None
    half = STUDENT[len(values)] * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def compared(runs: Sequence[Run], target: float) -> list[dict[str, Any]]:
    """A row for each S. `speedup`: the synchronous run's seconds to the target over this one's, mean over the seeds
    that both reached it with; `difference`: of the final score to the synchronous run's, with its interval.
    """
    groups = by_staleness(runs)
    synchronous = {run.seed: run for run in groups.get(0, [])}
    return [_row(bound, members, synchronous, target) for bound, members in groups.items()]


def _row(bound: int, members: Sequence[Run], synchronous: Mapping[int, Run], target: float) -> dict[str, Any]:
    times = [seconds_to(run, target) for run in members]
    pairs = [(run, synchronous[run.seed]) for run in members if run.seed in synchronous]
    differences = [run.final - base.final for run, base in pairs]
    ratios = [
        theirs / ours
        for run, base in pairs
        if (ours := seconds_to(run, target)) and (theirs := seconds_to(base, target))
    ]
    reached = [seconds for seconds in times if seconds is not None]
    return {
        "staleness": bound,
        "seeds": [run.seed for run in members],
        "steps": [run.steps for run in members],
        "train_seconds": _rounded(run.train_seconds for run in members),
        "seconds_a_step": round(fmean(run.train_seconds / max(run.steps, 1) for run in members), 2),
        "response_tokens_per_second": round(fmean(run.tokens_per_second for run in members), 1),
        "token_staleness": round(fmean(run.token_staleness for run in members), 2),
        "oldest_group": max(run.oldest for run in members),
        "before": round(fmean(run.curve[0][2] for run in members), 4),
        "final": _rounded((run.final for run in members), 4),
        "peak": _rounded((run.peak for run in members), 4),
        "entropy": [round(fmean(run.entropy[at] for run in members), 3) for at in (0, 1)],
        "target": target,
        "seconds_to_target": [None if seconds is None else round(seconds, 1) for seconds in times],
        "mean_seconds_to_target": round(fmean(reached), 1) if reached else None,
        "speedup": round(fmean(ratios), 3) if ratios and bound else None,
        "difference": round(fmean(differences), 4) if differences and bound else None,
        "difference_ci95": [round(end, 4) for end in ends] if bound and (ends := interval(differences)) else None,
        "violations": sum(run.violations for run in members),
    }


def _rounded(values: Any, digits: int = 1) -> list[float]:
    return [round(value, digits) for value in values]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    head = (
        "S", "seeds", "steps", "s per step", "tokens/s", "token staleness", "oldest", "before", "final", "peak",
        "final minus S = 0 [95 %]", f"s to {rows[0]['target']}", "faster than S = 0", "entropy",
    )  # fmt: skip
    lines = [head, ("---:",) * len(head), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    difference = "-"
    if row["difference"] is not None:
        ends = row["difference_ci95"]
        difference = f"{row['difference']:+.3f}" + (f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else "")
    times = ", ".join("never" if seconds is None else f"{seconds:.0f}" for seconds in row["seconds_to_target"])
    return (
        str(row["staleness"]),
        ", ".join(map(str, row["seeds"])),
        ", ".join(map(str, row["steps"])),
        f"{row['seconds_a_step']:.2f}",
        f"{row['response_tokens_per_second']:.0f}",
        f"{row['token_staleness']:.2f}",
        str(row["oldest_group"]),
        f"{row['before']:.3f}",
        ", ".join(f"{score:.3f}" for score in row["final"]),
        ", ".join(f"{score:.3f}" for score in row["peak"]),
        difference,
        times,
        "-" if row["speedup"] is None else f"{row['speedup']:.2f}x",
        " to ".join(f"{value:.2f}" for value in row["entropy"]),
    )


def draw(runs: Sequence[Run], path: Path) -> None:
    """Held-out score against seconds of training and against steps: thin a run, thick the mean over seeds."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    by_seconds, by_steps = figure.subplots(1, 2, sharey=True)
    for index, (bound, members) in enumerate(by_staleness(runs).items()):
        colour, label = colour_of(index), f"S = {bound}" + (" (synchronous)" if bound == 0 else "")
        for axes, x in ((by_seconds, 1), (by_steps, 0)):
            for run in members:
                xs = [point[x] for point in run.curve]
                axes.plot(xs, [point[2] for point in run.curve], color=colour, alpha=0.25, linewidth=1)
            mean = _mean_curve(members)
            axes.plot([point[x] for point in mean], [point[2] for point in mean], color=colour, label=label)
    by_seconds.set_xlabel("seconds of training")
    by_steps.set_xlabel("steps")
    by_steps.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_seconds.set_title("mean held-out score (thin: single seeds)", loc="left")
    by_seconds.legend(frameon=False)
    path.write_bytes(png(figure, by_seconds, by_steps))


def _mean_curve(members: Sequence[Run]) -> list[tuple[float, float, float]]:
    """Over the versions that every seed measured."""
    at = [{version: (seconds, score) for version, seconds, score in run.curve} for run in members]
    common = sorted(set.intersection(*(set(each) for each in at)))
    return [
        (version, fmean(each[version][0] for each in at), fmean(each[version][1] for each in at)) for version in common
    ]
