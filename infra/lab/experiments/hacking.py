"""Experiment: how far does each route's reward part from the truth while a policy is trained on it?"""

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.experiments.selection import GROUPS
from infra.lab.pictures import draw_curves
from infra.lab.pool import Composition, Reward
from infra.lab.results import LabRun
from infra.lab.statistics import difference, final_proxy, final_score, gain, mean_of, rollouts

_RTV, _TRUTH, _REFERENCE, _PLANTED = "rtv", "genrm-truth", "genrm-reference", "genrm-planted"

ARMS = (
    Arm(name=_RTV, label="RTV"),
    Arm(
        name=_TRUTH,
        label="GenRM with ground truth",
        composition=Composition(reward=Reward.TRUTH),
        fits_judge=True,
    ),
    Arm(
        name=_REFERENCE,
        label="GenRM with best-of-N",
        composition=Composition(reward=Reward.REFERENCE),
        fits_judge=True,
    ),
    Arm(
        name=_PLANTED,
        label="GenRM with ground truth and a planted weakness",
        composition=Composition(reward=Reward.TRUTH),
        weakness=1.0,
    ),
)


def proxy_gain(run: LabRun) -> float:
    """The rise of the run's own reward on the held-out prompts; a verifier's is the score itself."""
    first = run.curve[0].proxy
    return gain(run) if first is None else final_proxy(run) - first


def conclude(results: Results) -> Findings:
    rows: list[Row] = [
        {
            "route": arm.label,
            "seeds": str(len(runs)),
            "own reward rose by": mean_of(runs, proxy_gain).text(sign=True),
            "true score rose by": mean_of(runs, gain).text(sign=True),
            "of which was not true": mean_of(runs, lambda run: proxy_gain(run) - gain(run)).text(sign=True),
            "final true score": mean_of(runs, final_score).text(),
        }
        for arm in ARMS
        if (runs := results.get(arm.name))
    ]
    sentences: list[str] = []
    for better, worse in ((_RTV, _TRUTH), (_TRUTH, _REFERENCE)):
        one, other = results.get(better, {}), results.get(worse, {})
        if one.keys() & other.keys():
            gap = difference(one, other)
            verdict = "is above" if gap.low > 0 else "is below" if gap.high < 0 else "is not told apart from"
            sentences.append(f"The final true score of {better} {verdict} that of {worse}: {gap.text(sign=True)}.")

    def draw(figure: Figure) -> None:
        draw_curves(
            figure.subplots(), ARMS, results, cost=rollouts, label="rollouts spent", ylabel="true held-out score"
        )

    return Findings(sentences=sentences or ["No pair of arms has run yet."], rows=rows, draw=draw)


EXPERIMENT = Experiment(
    name="hacking",
    title="Resistance to reward hacking, by route",
    question=(
        "The paper ranks the routes by their resistance to hacking: verifiers (RTV), then GenRM with ground truth, "
        "then GenRM with a best-of-N reference ([arXiv 2503.22230](https://arxiv.org/abs/2503.22230)). Here each "
        "route trains the same policy on the same prompts, and the verifier measures all of them."
    ),
    method=(
        f"Each run spends the rollouts of {GROUPS} groups with dynamic sampling. The two judges are models of the "
        "policy's own size, fitted on 3,000 questions each, so what they get wrong is what such a judge does not "
        "learn; none of it is planted. The references of the best-of-N route come from a perfect picker among four "
        "responses of the start, and a tie of candidate and reference earns one half. The last arm is the planted "
        "judge of the other experiments, whose weakness is known. A judge's own reward and the true score have "
        "different scales, so the rise of each is compared with its own start."
    ),
    arms=ARMS,
    conclude=conclude,
    changes={"selector.max_groups": GROUPS, "selector.eval_every_versions": 4},
)
