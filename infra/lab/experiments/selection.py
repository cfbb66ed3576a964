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
SCARCE = Composition(rungs=(4, 3, 3, 3, 3, 4, 40, 50), broken=3, coins=2)
"""Four prompts in five are of the two highest rungs, which the start nearly never does."""
SCARCE_GROUPS = 960
"""A run on few useful prompts needs more rollouts to learn from."""
GOAL = 0.5
"""The upper end of the interval that was asked for: half of the uniform run's rollouts."""
_UNIFORM, _DYNAMIC, _INFORMATIVE = "uniform", "dynamic", "informative"


def selected(rule: str, keep: float, *, every: int, budget: int = GROUPS, pool: Composition = POOL) -> dict[str, Any]:
    """Settings of a run that assesses its prompts first, and pays for that from the same budget."""
    return {
        "selector.preppo.enabled": True,
        "selector.preppo.rule": rule,
        "selector.preppo.keep_share": keep,
        "selector.preppo.samples": SAMPLES,
        "selector.preppo.every_versions": every,
        "selector.max_groups": budget - SAMPLES * pool.size // GROUP_SIZE,
    }


def arms_of(suffix: str, *, judged: bool) -> tuple[Arm, ...]:
    composition, weakness = (replace(POOL, reward=Reward.TRUTH), 1.0) if judged else (POOL, 0.0)

    def arm(name: str, label: str, changes: Mapping[str, Any]) -> Arm:
        return Arm(name=name + suffix, label=label, changes=changes, composition=composition, weakness=weakness)

    every_group = {"selector.max_groups": GROUPS}
    return (
        arm(_UNIFORM, "uniform", every_group | {"learner.filter_zero_variance": False}),
        arm(_DYNAMIC, "dynamic sampling", every_group),
        *(arm(f"lowest{n}", f"lowest {n} %", selected("lowest", n / 100, every=0)) for n in (10, 20, 50)),
        arm("skip", "skip", selected("skip", 0.5, every=EVERY)),
        arm(_INFORMATIVE, "informative", selected("informative", 0.3, every=EVERY)),
    )


def _scarce() -> tuple[Arm, ...]:
    every_group = {"selector.max_groups": SCARCE_GROUPS}

    def settings(rule: str, keep: float, every: int) -> dict[str, Any]:
        return selected(rule, keep, every=every, budget=SCARCE_GROUPS, pool=SCARCE)

    changes = {
        _UNIFORM: ("uniform", every_group | {"learner.filter_zero_variance": False}),
        _DYNAMIC: ("dynamic sampling", every_group),
        "lowest10": ("lowest 10 %", settings("lowest", 0.1, 0)),
        _INFORMATIVE: ("informative", settings("informative", 0.15, EVERY)),
    }
    return tuple(
        Arm(name=f"{name}-scarce", label=label, changes=change, composition=SCARCE)
        for name, (label, change) in changes.items()
    )


VERIFIED, JUDGED, FEW = arms_of("", judged=False), arms_of("-judged", judged=True), _scarce()
_SETS = (
    ("", "verifier", VERIFIED),
    ("-scarce", "verifier, few useful prompts", FEW),
    ("-judged", "weak judge", JUDGED),
)


def conclude(results: Results) -> Findings:
    sentences = [
        *_tell(results, "", "On the verifier's rewards"),
        *_tell(results, "-scarce", "With few useful prompts"),
        *_tell(results, "-judged", "On the rewards of the judge with the weakness"),
    ]
    rows = [_row(arm, results, suffix, reward) for suffix, reward, arms in _SETS for arm in arms if arm.name in results]

    def draw(figure: Figure) -> None:
        labels = [arm.label for arm in VERIFIED]
        left, *others = figure.subplots(1, 3, sharey=True)
        draw_curves(left, VERIFIED, results, cost=rollouts, label="rollouts (verifier)", labels=labels)
        for axes, arms, label in zip(others, (FEW, JUDGED), ("few useful prompts", "weak judge"), strict=True):
            draw_curves(axes, arms, results, cost=rollouts, label=f"rollouts ({label})", ylabel="", labels=labels)

    return Findings(sentences=sentences, rows=rows, draw=draw)


def wasted(run: LabRun) -> float:
    """Fraction of the training groups that had no spread, whether they were filtered or trained on."""
    return 1 - run.spread / sum(run.outcomes.values())


def unteachable(run: LabRun) -> float:
    """Fraction of the training groups whose prompt was broken or a coin."""
    return sum(n for kind, n in run.kinds.items() if not kind.endswith("sound")) / sum(run.kinds.values())


def updates(run: LabRun) -> float:
    """Versions that the run trained."""
    return float(run.curve[-1].version)


def _row(arm: Arm, results: Results, suffix: str, reward: str) -> Row:
    runs = results[arm.name]

    def cost_to(name: str) -> str:
        base = results.get(name + suffix, {})
        return cost_ratio(runs, base, rollouts).share() if _paired(arm, name + suffix, runs, base) else "-"

    base = results.get(_UNIFORM + suffix, {})
    paired = _paired(arm, _UNIFORM + suffix, runs, base)
    row = {
        "prompts": arm.label,
        "reward": reward,
        "seeds": str(len(runs)),
        "groups without spread": mean_of(runs, wasted).share(),
        "of broken prompts or coins": mean_of(runs, unteachable).share(),
        "versions": f"{mean_of(runs, updates).value:.0f}",
        "final score": mean_of(runs, final_score).text(),
        "minus uniform": difference(runs, base).text(sign=True) if paired else "-",
        "rollouts to the final score of uniform": cost_to(_UNIFORM),
        "of dynamic sampling": cost_to(_DYNAMIC),
        "proxy minus score": "-",
    }
    if all(run.curve[-1].proxy is not None for run in runs.values()):
        gap = mean_of(runs, lambda run: final_proxy(run) - final_score(run))
        row["proxy minus score"] = gap.text(sign=True)
    return row


def _paired(arm: Arm, name: str, runs: Curves, base: Curves) -> bool:
    return arm.name != name and bool(runs.keys() & base.keys())


def _tell(results: Results, suffix: str, where: str) -> list[str]:
    base: Curves = results.get(_UNIFORM + suffix, {})
    runs: Curves = results.get(_INFORMATIVE + suffix, {})
    if not base.keys() & runs.keys():
        return [f"{where}: not run yet."]
    ratio = cost_ratio(runs, base, rollouts)
    goal = "below half, as was hoped" if ratio.high < GOAL else "not below half, as was hoped"
    goal = f"its interval is {goal}" if ratio.known else "there are too few seeds for an interval"
    reached = ratio.reach("the uniform run's final score", "its rollouts")
    said = [f"{where}, the informative rule {reached}: {goal}."]
    for name in ("lowest10", "lowest20", "lowest50", "skip", _DYNAMIC):
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
        "groups in three of `uniform` have no spread. How much a rule can save depends on this mixture, so "
        f"four arms are run on another one, too, with {SCARCE_GROUPS} groups: four prompts in five are out of reach "
        "there. A step takes 16 groups that are trained on, so a run that filters makes fewer of them. The judge falls "
        "for a marker on every question. The score is the verifier's "
        "in both cases, and the proxy is the judge's own on the same held-out prompts."
    ),
    arms=(*VERIFIED, *FEW, *JUDGED),
    conclude=conclude,
    changes={"selector.eval_every_versions": 4},
)
