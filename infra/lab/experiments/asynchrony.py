"""Experiment: what asynchrony costs per sample, and whether recomputing the old log-probs mends it."""

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.pictures import draw_curves
from infra.lab.statistics import cost_ratio, difference, final_score, mean_of, rollouts, seconds

STEPS = 15
_BASE = "s0-behaviour"


def _arm(staleness: int, proximal: str) -> Arm:
    return Arm(
        name=f"s{staleness}-{proximal}",
        label=f"S = {staleness}, {proximal}",
        changes={
            "selector.admission.staleness": staleness,
            "learner.max_staleness": 2 * staleness + 2,  # the window's bound is 2 S + 1 at most
            "learner.objective.proximal": proximal,
            "learner.objective.weight": "full",  # as in decoupled PPO (AReaL 2505.24298)
        },
    )


ARMS = (
    _arm(0, "behaviour"),
    *(_arm(staleness, proximal) for staleness in (1, 4) for proximal in ("behaviour", "recomputed")),
)


def conclude(results: Results) -> Findings:
    base = results.get(_BASE, {})
    rows: list[Row] = []
    sentences: list[str] = []
    for arm in ARMS:
        if arm.name not in results:
            continue
        runs = results[arm.name]
        row = {
            "arm": arm.label,
            "seeds": str(len(runs)),
            "token staleness": f"{mean_of(runs, lambda run: run.staleness).value:.2f}",
            "final score": mean_of(runs, final_score).text(),
            "minus S = 0": "-",
            "rollouts to the final score of S = 0": "-",
            "time to it": "-",
        }
        rows.append(row)
        if arm.name != _BASE and runs.keys() & base.keys():
            against = difference(runs, base)
            row["minus S = 0"] = against.text(sign=True)
            row["rollouts to the final score of S = 0"] = cost_ratio(runs, base, rollouts).share()
            row["time to it"] = cost_ratio(runs, base, seconds).share()
            verdict = "differs" if against.beyond_zero else "does not differ beyond its interval"
            sentences.append(
                f"With {arm.label} the final score {verdict} from that of S = 0: {against.text(sign=True)}."
            )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        draw_curves(left, ARMS, results, cost=rollouts, label="rollouts spent")
        draw_curves(right, ARMS, results, cost=seconds, label="seconds of training", ylabel="")

    return Findings(sentences=sentences or ["There is no asynchronous run yet."], rows=rows, draw=draw)


EXPERIMENT = Experiment(
    name="asynchrony",
    title="What asynchrony costs per rollout",
    question=(
        "Asynchronous training keeps engines and learner busy, and trains on samples of older policies. In whole runs "
        "of the demo, three seeds could not tell whether the final score suffers, nor whether recomputing the old "
        "log-probs at the start of a step (`proximal = recomputed`, decoupled PPO, [arXiv "
        "2505.24298](https://arxiv.org/abs/2505.24298)) mends it."
    ),
    method=(
        "The arms differ in the staleness bound S (`selector.admission.staleness`) and in the old log-probs "
        "(`learner.objective.proximal`), which make no difference with S = 0. Each run trains "
        f"{STEPS} steps of sixteen groups on the same prompts, so the "
        "groups that were trained on are equally many. Engine and learner are threads of one process here, which share "
        "a core: the time shows what a step costs, and not what two machines would gain; "
        "[trainer/curriculum](../../../trainer/curriculum/README.md) has the gain in time of whole runs."
    ),
    arms=ARMS,
    conclude=conclude,
    changes={"selector.max_steps": STEPS, "selector.eval_every_versions": 4},
)
