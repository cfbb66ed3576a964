"""Asynchrony's gain by simulation: throughput and staleness at S = 1 and 4 against S = 0, for 8 to 1,024 engines.

The simulation (admission_simulation.py) runs the admission code of real runs on a simulated clock. Measures
are `admission.LENGTHS.ENGINESx.sS` in tokens trained on a second, against the synchronous run of the same plan.
`--page FOLDER` also writes the picture, and the table of the README.md there. Four minutes on one core.

Two distributions of lengths:
- demo: measured, the 6,520 training responses of two runs of `make demo`; SmolLM2-135M's speed on two cores.
- reasoning: log-normal with a median of 2,000 tokens and sigma 1, cut at 16,384, which is assumed: the shape that
  reasoning has, where the longest response is many times the median. A 7B model's speed on one accelerator an engine.

Assumed in both: a batch of P groups fills every engine once; the learner, on devices of its own, is as fast as all
engines together at full load, so that neither is scarce. Lengths are drawn independently of each other.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from admission_simulation import Lengths, SimulatedRun, Simulation, SimulationPlan
from matplotlib.figure import Figure
from measures import measure, note

from infra.report.style import colour_of, png
from infra.settings.admission_limits import AdmissionLimits

ENGINES = (8, 64, 256, 1024)
STALENESS = (0, 1, 4)
WINDOW_SHARE = 0.3
GROUP_SIZE = 8
STEPS = 10
"""Counted, after the S + 2 in which the slots fill."""

DEMO_COUNTS = (
    0, 1091, 2202, 234, 104, 154, 214, 260, 314, 260, 241, 217, 181, 133, 140, 141,
    93, 84, 76, 56, 51, 49, 35, 40, 27, 25, 18, 24, 8, 13, 3, 32,
)  # fmt: skip
"""Responses of 1, 2, ... tokens."""


def demo_lengths(draw: random.Random) -> float:
    return draw.choices(range(1, len(DEMO_COUNTS) + 1), cum_weights=_CUMULATIVE)[0]


_CUMULATIVE = [sum(DEMO_COUNTS[: number + 1]) for number in range(len(DEMO_COUNTS))]


def reasoning_lengths(draw: random.Random) -> float:
    return min(16384, max(1, int(2000 * draw.lognormvariate(0, 1))))


@dataclass(frozen=True, slots=True)
class Site:
    """A distribution of lengths, and how fast things are there."""

    lengths: Lengths
    running: int
    decode_seconds: float
    decode_seconds_more: float
    publish_seconds: float
    latency_seconds: float

    def capacity(self, engines: int) -> float:
        """Tokens a second of engines that never wait."""
        full = self.decode_seconds + self.decode_seconds_more * (self.running - 1)
        return engines * self.running / full

    def plan(self, engines: int, staleness: int) -> SimulationPlan:
        return SimulationPlan(
            limits=AdmissionLimits(staleness, engines * self.running // GROUP_SIZE, WINDOW_SHARE),
            lengths=self.lengths,
            engines=engines,
            running=self.running,
            group_size=GROUP_SIZE,
            steps=STEPS + staleness + 2,
            decode_seconds=self.decode_seconds,
            decode_seconds_more=self.decode_seconds_more,
            learner_tokens_per_second=self.capacity(engines),
            publish_seconds=self.publish_seconds,
            latency_seconds=self.latency_seconds,
        )


SITES = {
    # 96 samples decode 240 tokens a second (tests/bench/bench_hf_engine.py); weights of 0.5 GB
    "demo": Site(demo_lengths, 96, 0.02, 0.004, 0.5, 0.2),
    # 64 samples decode 3,000 tokens a second; weights of 15 GB
    "reasoning": Site(reasoning_lengths, 64, 0.015, 0.0001, 5.0, 0.5),
}


@dataclass(frozen=True, slots=True)
class Result:
    site: str
    engines: int
    staleness: int
    outcome: SimulatedRun
    plan: SimulationPlan
    capacity: float
    gain: float
    """Over S = 0."""
    gain_idle: float
    """The same where groups go to the least loaded engine, over S = 0 with hashed placement."""

    @property
    def tokens_per_second(self) -> float:
        return self.outcome.tokens_per_second(self.staleness + 2)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--page", type=Path, help="folder of README.md, and for asynchrony.png")
    options = parser.parse_args()
    results = []
    for result in simulated():
        show(result)
        results.append(result)
    if options.page:
        page = options.page / "README.md"
        page.write_text(with_table(page.read_text(), table(results)))
        draw(results, options.page / "asynchrony.png")
    return 0


def simulated() -> Iterator[Result]:
    for name, site in SITES.items():
        for engines in ENGINES:
            base = 0.0
            for staleness in STALENESS:
                plan = site.plan(engines, staleness)
                note(f"{name}: {engines} engines, S = {staleness}")
                outcome, idle = (Simulation(replace(plan, placement=each)).play() for each in ("hashed", "idle"))
                rates = [each.tokens_per_second(staleness + 2) for each in (outcome, idle)]
                base = base or rates[0]
                gains = [rate / base for rate in rates]
                yield Result(name, engines, staleness, outcome, plan, site.capacity(engines), *gains)


def show(result: Result) -> None:
    measure(
        f"admission.{result.site}.{result.engines}x.s{result.staleness}",
        result.tokens_per_second,
        "tokens/s",
        against=f"admission.{result.site}.{result.engines}x.s0",
        ratio=result.gain,
        groups_per_step=result.plan.limits.groups_per_step,
        share_of_engines=round(result.tokens_per_second / result.capacity, 3),
        mean_staleness=round(result.outcome.mean_staleness(), 2),
        oldest_group=max(result.outcome.ages),
        bound=result.plan.limits.max_age,
        ratio_to_least_loaded=round(result.gain_idle, 3),
    )


def with_table(page: str, markdown: str) -> str:
    """The page with this table between its marks. Raises ValueError where it has none."""
    head, rest = page.split(MARK, 1)
    return f"{head}{MARK}\n{markdown}{END}{rest.split(END, 1)[1]}"


MARK = "<!-- table: made by tests/bench/bench_admission.py -->"
END = "<!-- end of table -->"


def table(results: list[Result]) -> str:
    """Markdown."""
    head = (
        "lengths", "engines", "P", "S", "tokens/s", "of the engines' full speed", "gain", "gain, least loaded engine",
        "staleness, mean", "oldest group", "bound",
    )  # fmt: skip
    lines = [head, ("---",) + ("---:",) * (len(head) - 1), *map(_cells, results)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(result: Result) -> tuple[str, ...]:
    limits = result.plan.limits
    return (
        result.site,
        str(result.engines),
        str(limits.groups_per_step),
        str(limits.staleness),
        f"{result.tokens_per_second:,.0f}",
        f"{result.tokens_per_second / result.capacity:.0%}",
        f"{result.gain:.2f}x",
        f"{result.gain_idle:.2f}x",
        f"{result.outcome.mean_staleness():.2f}",
        str(max(result.outcome.ages)),
        str(limits.max_age),
    )


def draw(results: list[Result], path: Path) -> None:
    """Gain over S = 0 by engines, and how old what is trained on is."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    gains, ages = figure.subplots(1, 2, width_ratios=(3, 2))
    colours = {bound: colour_of(index) for index, bound in enumerate(STALENESS)}
    for site, style in zip(SITES, ("o--", "o-"), strict=True):
        for bound in STALENESS[1:]:
            line = [(r.engines, r.gain) for r in results if (r.site, r.staleness) == (site, bound)]
            gains.plot(*zip(*line, strict=True), style, color=colours[bound], label=f"{site}, S = {bound}")
    gains.axhline(1, color="#7b8794", linewidth=1)
    gains.set_xscale("log", base=2)
    gains.set_xticks(ENGINES, [f"{engines:,}" for engines in ENGINES])
    gains.set_ylim(bottom=0)
    gains.set_xlabel("engines")
    gains.set_title("throughput over the synchronous run's", loc="left")
    gains.legend(frameon=False, fontsize=8)
    for place, bound in enumerate(STALENESS):
        (result,) = (r for r in results if (r.site, r.engines, r.staleness) == ("reasoning", 256, bound))
        counts = result.outcome.staleness
        shares = [counts[age] / counts.total() for age in range(max(counts) + 1)]
        places = [age + 0.28 * (place - 1) for age in range(len(shares))]
        ages.bar(places, shares, width=0.28, color=colours[bound], label=f"S = {bound}")
    ages.set_xlabel("versions between a group's oldest token and its step")
    ages.set_title("share of groups, reasoning, 256 engines", loc="left")
    ages.legend(frameon=False, fontsize=8)
    path.write_bytes(png(figure, gains, ages))


if __name__ == "__main__":
    sys.exit(main())
