"""Experiment: what does PPO add to more supervised fitting?"""

from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results, Row
from infra.lab.experiments.selection import GROUPS
from infra.lab.imitation import BATCH, Answers
from infra.lab.pictures import draw_estimates
from infra.lab.statistics import difference, final_score, gain, mean_of

_PPO = "ppo"
ARMS = (
    Arm(name=_PPO, label="PPO"),
    Arm(name="sft-start", label="more SFT like the start's", imitates=Answers.START),
    Arm(name="sft-references", label="SFT on the references of PPO's prompts", imitates=Answers.REFERENCES),
)


def conclude(results: Results) -> Findings:
    ppo = results.get(_PPO, {})
    sentences: list[str] = []
    rows: list[Row] = []
    for arm in ARMS:
        runs = results.get(arm.name, {})
        if not runs:
            continue
        paired = arm.name != _PPO and bool(runs.keys() & ppo.keys())
        against = difference(ppo, runs) if paired else None
        rows.append(
            {
                "training": arm.label,
                "seeds": str(len(runs)),
                "CPU seconds": f"{mean_of(runs, lambda run: run.cpu_seconds).value:.0f}",
                "gain over the start": mean_of(runs, gain).text(sign=True),
                "final score": mean_of(runs, final_score).text(),
                "PPO minus this": "-" if against is None else against.text(sign=True),
            }
        )
        if against is not None:
            verdict = "above" if against.low > 0 else "below" if against.high < 0 else "not told apart from"
            sentences.append(f"PPO's final score is {verdict} that of {arm.label}: {against.text(sign=True)}.")

    def draw(figure: Figure) -> None:
        present = [arm for arm in ARMS if arm.name in results]
        axes = figure.subplots()
        gains = [mean_of(results[arm.name], gain) for arm in present]
        draw_estimates(axes, [arm.label for arm in present], gains, "gain of the held-out score over the start")

    return Findings(sentences=sentences or ["No pair of arms has run yet."], rows=rows, draw=draw)


EXPERIMENT = Experiment(
    name="ppo",
    title="What PPO adds to more supervised fitting",
    question=(
        "A sceptic asks this first: would the same start gain as much if the time of PPO were spent on more supervised "
        "fitting (SFT)?"
    ),
    method=(
        f"PPO spends the rollouts of {GROUPS} groups with dynamic sampling. The others fit from the same start for "
        f"the CPU seconds that the PPO run of the same seed took, in batches of {BATCH}. More SFT like the start's "
        "repeats what made the start, short cuts included, on new prompts. SFT on the references sees the right "
        "answers of the very prompts that PPO trains on, which PPO never sees, and also the wrong ones of broken "
        "prompts and coins; such references exist where a verifier compares with one, and not where it runs tests or "
        "checks a format."
    ),
    arms=ARMS,
    conclude=conclude,
    changes={"selector.max_groups": GROUPS, "selector.eval_every_versions": 4},
)
