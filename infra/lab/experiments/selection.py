"""Experiment: which prompts are worth their rollouts?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.pictures import draw_curves
from infra.lab.pool import Composition, Reward
from infra.lab.results import LabRun
from infra.lab.statistics import Curves, cost_ratio, difference, final_proxy, final_score, mean_of, rollouts

GROUPS = 480
"""Groups that a run spends; those on assessing prompts count too."""
GROUP_SIZE = 8
SAMPLES = 2
"""Responses per assessed prompt."""
EVERY = 3
"""Versions between two selections of the rules that select again."""
POOL = Composition(rungs=(10, 8, 6, 6, 6, 10, 25, 25))
"""About two groups in three of a run that selects nothing have no spread, as in the demo's recipe after 200 steps: most
of the prompts are solved or out of reach."""
GOAL = 0.5
"""The upper end of the interval that was asked for: half of the uniform run's rollouts."""
_UNIFORM, _INFORMATIVE = "uniform", "informative"


def selected(rule: str, keep: float, *, every: int, budget: int = GROUPS) -> dict[str, Any]:
    """Settings of a run that assesses its prompts first, and pays for that from the same budget."""
    return {
        "selector.preppo.enabled": True,
        "selector.preppo.rule": rule,
        "selector.preppo.keep_share": keep,
        "selector.preppo.samples": SAMPLES,
        "selector.preppo.every_versions": every,
        "selector.max_groups": budget - SAMPLES * POOL.size // GROUP_SIZE,
    }


def arms_of(suffix: str, *, judged: bool) -> tuple[Arm, ...]:
    composition, weakness = (replace(POOL, reward=Reward.TRUTH), 1.0) if judged else (POOL, 0.0)

    def arm(name: str, label: str, changes: Mapping[str, Any]) -> Arm:
        return Arm(name=name + suffix, label=label, changes=changes, composition=composition, weakness=weakness)

    every_group = {"selector.max_groups": GROUPS}
    return (
        arm(_UNIFORM, "uniform", every_group | {"learner.filter_zero_variance": False}),
        arm("dynamic", "dynamic sampling", every_group),
        *(arm(f"lowest{n}", f"lowest {n} %", selected("lowest", n / 100, every=0)) for n in (10, 20, 50)),
        arm("skip", "skip", selected("skip", 0.5, every=EVERY)),
        arm(_INFORMATIVE, "informative", selected("informative", 0.3, every=EVERY)),
    )


VERIFIED, JUDGED = arms_of("", judged=False), arms_of("-judged", judged=True)


def conclude(results: Results) -> Findings:
    sentences = [
        *_tell(results, "", "On the verifier's rewards"),
        *_tell(results, "-judged", "On the rewards of the judge with the weakness"),
    ]
    rows = [
        _row(arm, results, f"{_UNIFORM}{suffix}", reward)
        for suffix, reward, arms in (("", "verifier", VERIFIED), ("-judged", "weak judge", JUDGED))
        for arm in arms
        if arm.name in results
    ]

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        draw_curves(left, VERIFIED, results, cost=rollouts, label="rollouts spent, verifier's rewards")
        draw_curves(right, JUDGED, results, cost=rollouts, label="rollouts spent, weak judge's rewards", ylabel="")

    return Findings(sentences=sentences, rows=rows, draw=draw)


def wasted(run: LabRun) -> float:
    """Fraction of the training groups that had no spread, whether they were filtered or trained on."""
    return 1 - run.spread / sum(run.outcomes.values())


def unteachable(run: LabRun) -> float:
    """Fraction of the training groups whose prompt was broken or a coin."""
    return sum(n for kind, n in run.kinds.items() if not kind.endswith("sound")) / sum(run.kinds.values())


def _row(arm: Arm, results: Results, base_name: str, reward: str) -> Row:
    runs, base = results[arm.name], results.get(base_name, {})
    paired = arm.name != base_name and bool(runs.keys() & base.keys())
    row = {
        "prompts": arm.label,
        "reward": reward,
        "seeds": str(len(runs)),
        "groups without spread": mean_of(runs, wasted).share(),
        "of broken prompts or coins": mean_of(runs, unteachable).share(),
        "final score": mean_of(runs, final_score).text(),
        "minus uniform": difference(runs, base).text(sign=True) if paired else "-",
        "rollouts to the final score of uniform": cost_ratio(runs, base, rollouts).share() if paired else "-",
        "proxy minus score": "-",
    }
    if all(run.curve[-1].proxy is not None for run in runs.values()):
        gap = mean_of(runs, lambda run: final_proxy(run) - final_score(run))
        row["proxy minus score"] = gap.text(sign=True)
    return row


def _tell(results: Results, suffix: str, where: str) -> list[str]:
    base: Curves = results.get(_UNIFORM + suffix, {})
    runs: Curves = results.get(_INFORMATIVE + suffix, {})
    if not base.keys() & runs.keys():
        return [f"{where}: not run yet."]
    ratio = cost_ratio(runs, base, rollouts)
    goal = "below half, as was hoped" if ratio.high < GOAL else "not below half, as was hoped"
    goal = f"its interval is {goal}" if ratio.known else "there are too few seeds for an interval"
    reached = (
        f"{where}, the informative rule reached the uniform run's final score with {ratio.share()} of its rollouts"
    )
    said = [f"{reached}: {goal}."]
    for name in ("lowest10", "lowest20", "lowest50", "skip", "dynamic"):
        other = results.get(name + suffix, {})
        if other.keys() & runs.keys():
            against = difference(runs, other)
            relation = "differs from" if against.beyond_zero else "is not told apart from"
            said.append(f"Its final score {relation} that of {name}: {against.text(sign=True)}.")
    return said


EXPERIMENT = Experiment(
    name="selection",
    title="Which prompts are worth their rollouts",
    question=(
        "The paper keeps the lowest-scoring tenth of the new prompts ([arXiv "
        "2503.22230](https://arxiv.org/abs/2503.22230), section 3.2). Later work picks prompts of middle difficulty, "
        "whose groups have a spread. Both are run here under equal rollouts, on rewards of a verifier and on those "
        "of a judge with a known weakness, for a high score of such a judge may be a hacked one. The goal: the "
        "informative rule reaches the uniform run's final score with 40 % of its rollouts, with an interval below 50 "
        "%."
    ),
    method=(
        f"Each run spends the rollouts of {GROUPS} groups of {GROUP_SIZE}, and the rules that assess their prompts "
        f"first ({SAMPLES} responses each) pay for that from them. `uniform` trains on every group, without spread or "
        "not; `dynamic sampling` (DAPO) filters those without and so do the rules. `lowest` selects once, as in the "
        f"paper; `skip` (GRESO) and `informative` select again every {EVERY} versions. Half of the prompts are out of "
        "the start's reach, a fifth is solved, and some teach nothing (broken references and coins), so that two "
        "groups in three of `uniform` have no spread. How much a rule can save depends on this mixture. The judge "
        "falls for a marker on every question. The score is the verifier's "
        "in both cases, and the proxy is the judge's own on the same held-out prompts."
    ),
    arms=(*VERIFIED, *JUDGED),
    conclude=conclude,
    changes={"selector.eval_every_versions": 4},
)
