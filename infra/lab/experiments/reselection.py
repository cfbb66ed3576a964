"""Experiment: does it pay to select prompts again and again, instead of once before training?"""

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.experiments.selection import EVERY, GROUPS, POOL, SAMPLES, selected, wasted
from infra.lab.pictures import draw_curves
from infra.lab.statistics import cost_ratio, difference, final_score, mean_of, rollouts

_RULES = (("lowest", 0.2), ("informative", 0.3))
_ONCE, _AGAIN = "-once", "-again"


def _arms() -> tuple[Arm, ...]:
    return tuple(
        Arm(name=f"{rule}{suffix}", label=f"{rule}, {word}", changes=selected(rule, keep, every=every))
        for rule, keep in _RULES
        for suffix, word, every in ((_ONCE, "once", 0), (_AGAIN, f"every {EVERY} versions", EVERY))
    )


ARMS = _arms()


def conclude(results: Results) -> Findings:
    sentences: list[str] = []
    for rule, _ in _RULES:
        once, again = results.get(rule + _ONCE, {}), results.get(rule + _AGAIN, {})
        if once.keys() & again.keys():
            gained = difference(again, once)
            verdict = ("raises" if gained.value > 0 else "lowers") if gained.beyond_zero else "is not seen to change"
            sentences.append(
                f"With the rule {rule}, selecting again {verdict} the final score ({gained.text(sign=True)}), and "
                f"{cost_ratio(again, once, rollouts).reach('that of selecting once', 'its rollouts')}."
            )
    rows: list[Row] = [
        {
            "selection": arm.label,
            "seeds": str(len(runs)),
            "groups without spread": mean_of(runs, wasted).share(),
            "final score": mean_of(runs, final_score).text(),
        }
        for arm in ARMS
        if (runs := results.get(arm.name))
    ]

    def draw(figure: Figure) -> None:
        draw_curves(figure.subplots(), ARMS, results, cost=rollouts, label="rollouts spent")

    return Findings(sentences=sentences or ["No pair of arms has run yet."], rows=rows, draw=draw)


EXPERIMENT = Experiment(
    name="reselection",
    title="Selecting prompts again, or once",
    question=(
        "The paper selects new prompts once, before PPO. What is hard for the first policy may be easy for a later "
        "one. Does it pay to select again during training, from the scores that training itself brings?"
    ),
    method=(
        f"Each run spends the rollouts of {GROUPS} groups, of which {SAMPLES} responses per prompt go into the "
        "assessment before training. `lowest` keeps a fifth of the prompts, `informative` three tenths. Selecting "
        "again costs no rollouts: it ranks by the scores of all rollouts so far, of which old ones count less."
    ),
    arms=ARMS,
    conclude=conclude,
    changes={"selector.eval_every_versions": 4},
    composition=POOL,
)
