"""Experiment: what do new prompts bring that nobody selected?"""

from dataclasses import replace

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.experiments.selection import GROUP_SIZE, GROUPS, SAMPLES, wasted
from infra.lab.pictures import draw_curves
from infra.lab.pool import Composition
from infra.lab.statistics import cost_ratio, difference, final_score, mean_of, rollouts

_ORIGINALS = Composition(rungs=(), broken=0, coins=0, originals=(2, 2, 2, 2, 2, 2, 2, 2))
_BOTH = replace(Composition(), originals=_ORIGINALS.originals)
_BASE = "originals"


def _selected(rule: str) -> dict[str, object]:
    return {
        "selector.preppo.enabled": True,
        "selector.preppo.rule": rule,
        "selector.preppo.keep_share": 0.1,
        "selector.preppo.samples": SAMPLES,
        "selector.max_groups": GROUPS - SAMPLES * _BOTH.size // GROUP_SIZE,
    }


ARMS = (
    Arm(name=_BASE, label="original prompts alone", composition=_ORIGINALS, changes={"selector.max_groups": GROUPS}),
    Arm(name="all", label="and all new ones", composition=_BOTH, changes={"selector.max_groups": GROUPS}),
    Arm(name="lowest10", label="and the lowest tenth of them", composition=_BOTH, changes=_selected("lowest")),
    Arm(name="informative10", label="and a tenth by informative", composition=_BOTH, changes=_selected("informative")),
)


def conclude(results: Results) -> Findings:
    base = results.get(_BASE, {})
    sentences: list[str] = []
    rows: list[Row] = []
    for arm in ARMS:
        runs = results.get(arm.name, {})
        if not runs:
            continue
        row = {
            "prompts": arm.label,
            "seeds": str(len(runs)),
            "groups without spread": mean_of(runs, wasted).share(),
            "final score": mean_of(runs, final_score).text(),
            "minus the originals alone": "-",
            "rollouts to their final score": "-",
        }
        rows.append(row)
        if arm.name != _BASE and runs.keys() & base.keys():
            gained = difference(runs, base)
            row["minus the originals alone"] = gained.text(sign=True)
            row["rollouts to their final score"] = cost_ratio(runs, base, rollouts).share()
            verdict = "changes" if gained.beyond_zero else "is not seen to change"
            sentences.append(
                f"Training on the original prompts {arm.label} {verdict} the final score: {gained.text(sign=True)}."
            )

    def draw(figure: Figure) -> None:
        draw_curves(figure.subplots(), ARMS, results, cost=rollouts, label="rollouts spent")

    return Findings(sentences=sentences or ["No pair of arms has run yet."], rows=rows, draw=draw)


EXPERIMENT = Experiment(
    name="unselected",
    title="New prompts that nobody selected",
    question=(
        "In the paper, adding five million unselected prompts to the original ones brought nothing, for nine in ten of "
        "them already scored above 0.5; adding the lowest-scoring tenth brought most ([arXiv "
        "2503.22230](https://arxiv.org/abs/2503.22230)). Is that so here?"
    ),
    method=(
        f"All arms spend the rollouts of {GROUPS} groups, those on assessing the new prompts included ({SAMPLES} "
        "responses each). The originals are sound, and equally many of each rung. Of the new ones most are solved, "
        "some are out of reach, and some teach nothing (broken references and coins)."
    ),
    arms=ARMS,
    conclude=conclude,
    changes={"selector.eval_every_versions": 4},
)
