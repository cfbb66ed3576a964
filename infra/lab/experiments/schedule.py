"""Experiment: mathematics and coding first, or an even mix of the domains?"""

from functools import partial

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.experiments.selection import GROUPS
from infra.lab.ladder import DOMAINS
from infra.lab.pictures import draw_curves
from infra.lab.pool import Composition
from infra.lab.results import LabRun
from infra.lab.statistics import cost_ratio, difference, final_score, mean_of, rollouts

EARLY = ("mathematics", "coding")
_WEIGHT = 4.0
_UNTIL = 6
"""Version at which the weight has fallen to 1; a run makes about twice as many."""
_EVEN, _FIRST, _ALWAYS = "even", "early", "always"

ARMS = (
    Arm(name=_EVEN, label="even mix"),
    Arm(
        name=_FIRST,
        label="mathematics and coding early",
        changes={"selector.domain_shares": {domain: [[0, _WEIGHT], [_UNTIL, 1.0]] for domain in EARLY}},
    ),
    Arm(
        name=_ALWAYS,
        label="mathematics and coding always",
        changes={"selector.domain_shares": dict.fromkeys(EARLY, _WEIGHT)},
    ),
)


def conclude(results: Results) -> Findings:
    even = results.get(_EVEN, {})
    sentences: list[str] = []
    rows: list[Row] = []
    for arm in ARMS:
        runs = results.get(arm.name, {})
        if not runs:
            continue
        row = {"shares": arm.label, "seeds": str(len(runs)), "final score": mean_of(runs, final_score).text()}
        row |= {domain: mean_of(runs, partial(final_of, domain)).text(2) for domain in DOMAINS}
        rows.append(row)
        if arm.name != _EVEN and runs.keys() & even.keys():
            gained = difference(runs, even)
            verdict = "changes" if gained.beyond_zero else "is not seen to change"
            sentences.append(
                f"Compared with the even mix, {arm.label} {verdict} the final score ({gained.text(sign=True)}); it "
                f"{cost_ratio(runs, even, rollouts).reach('that of the even mix', 'the rollouts')}."
            )

    def draw(figure: Figure) -> None:
        draw_curves(figure.subplots(), ARMS, results, cost=rollouts, label="rollouts spent")

    return Findings(sentences=sentences or ["No pair of arms has run yet."], rows=rows, draw=draw)


def final_of(domain: str, run: LabRun) -> float:
    """The mean of the domain's last two measurements."""
    last = run.curve[-2:]
    return sum(point.domains[domain] for point in last) / len(last)


EXPERIMENT = Experiment(
    name="schedule",
    title="Mathematics and coding first",
    question=(
        "The paper trains on mathematics and coding first, because their rewards are the surest, and reports +0.3 "
        "points overall for it ([arXiv 2503.22230](https://arxiv.org/abs/2503.22230), the large V2.0 ablation). Does "
        "early emphasis help the whole here?"
    ),
    method=(
        f"Each run spends the rollouts of {GROUPS} groups, filtered ones included, on the same prompts. In the arm "
        f"`early` the two domains weigh {_WEIGHT:.0f} times as much as the others at first, and as much from version "
        f"{_UNTIL} on (`selector.domain_shares`). Here the two are the hardest domains: a part of mathematics is out "
        "of the policy's reach, and a program in coding is made of the steps that `order` and `letters` train alone. "
        "All domains have the same verifier, so the paper's reason, surer rewards, is not a part of this experiment."
    ),
    arms=ARMS,
    conclude=conclude,
    composition=Composition(rungs=(7, 7, 7, 6, 5, 4, 4, 3), broken=3, coins=2, heldout=3, domains=DOMAINS),
    changes={"selector.max_groups": GROUPS, "selector.eval_every_versions": 4},
)
