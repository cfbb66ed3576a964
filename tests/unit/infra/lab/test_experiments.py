"""Every experiment's settings load, and every experiment concludes from whatever runs there are."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment
from infra.lab.experiments.catalogue import EXPERIMENTS
from infra.lab.laboratory import by_arm, plan
from infra.lab.ladder import DOMAINS
from infra.lab.page import page_text, write_page
from infra.lab.pool import Reward
from infra.lab.results import GuardPoint, LabRun, Point, ResultFile

ALL = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))


def run(arm: Arm, seed: int, experiment: Experiment) -> LabRun:
    """A run whose score rises with its arm's place in the experiment."""
    slope = 0.01 * (1 + experiment.arms.index(arm)) + 0.001 * seed
    judged = experiment.composition_of(arm).reward is not Reward.VERIFIER
    curve = [
        Point(
            version=at,
            rollouts=100 * at,
            seconds=float(at),
            score=0.2 + slope * at,
            proxy=0.3 + 2 * slope * at if judged else None,
            domains=dict.fromkeys(DOMAINS, 0.2 + slope * at),
        )
        for at in range(6)
    ]
    return LabRun(
        arm=arm.name,
        seed=seed,
        digest="d",
        curve=curve,
        outcomes={"trained": 30, "filtered": 20},
        spread=30,
        kinds={"1 sound": 40, "2 broken": 6, "0 coin": 4},
        assessed=0,
        entropy=(0.5, 0.4),
        staleness=0.7,
        seconds=20.0,
        cpu_seconds=15.0,
        guard=[
            GuardPoint(
                version=2 * at,
                credited=0.5 + 0.05 * at,
                confirmed=0.5 - 0.05 * at,
                fall=0.05 * at,
                fall_error=0.02,
                z=1.0 * at,
                limit=2.5,
                alarms=["overall"] if at > 2 else [],
            )
            for at in range(5)
        ],
    )


@ALL
def test_the_settings_of_every_arm_load_and_differ(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    common = {"model.path": str(tmp_path), "run.prepared": str(tmp_path), "run.folder": str(tmp_path)}
    arms = [arm for arm in experiment.arms if not arm.fits_judge]
    planned = [plan(experiment, arm, 0, "http://127.0.0.1:1", common) for arm in arms]
    again = [plan(experiment, arm, 3, "http://127.0.0.1:2", common) for arm in arms]
    assert len({one.digest for one in planned}) == len(arms)
    assert [one.digest for one in planned] == [one.digest for one in again]


@ALL
def test_it_concludes_from_all_runs(experiment: Experiment, tmp_path: Path) -> None:
    runs = [run(arm, seed, experiment) for arm in experiment.arms for seed in range(3)]
    page = write_page(experiment, by_arm(runs), tmp_path).read_text()
    assert f"made from {len(runs)} runs, 3 seeds per arm" in page
    assert all(arm.label in page for arm in experiment.arms)
    assert "nan" not in page
    assert "not run yet" not in page.lower()
    assert (tmp_path / f"{experiment.name}.png").stat().st_size > 1000


@ALL
def test_it_concludes_from_a_single_run(experiment: Experiment) -> None:
    for arm in experiment.arms:
        results = by_arm([run(arm, 0, experiment)])
        findings = experiment.conclude(results)
        findings.draw(Figure())
        page = page_text(experiment, results, findings)
        assert f"{experiment.seeds} seeds are planned" in page
        if len(experiment.arms) > 1:
            assert "Not run yet" in page


def test_a_result_file_keeps_what_was_added(tmp_path: Path) -> None:
    experiment = EXPERIMENTS["asynchrony"]
    file = ResultFile(tmp_path / "new" / "asynchrony.jsonl")
    assert file.read() == []
    runs = [run(arm, 0, experiment) for arm in experiment.arms]
    for one in runs:
        file.add(one)
    assert file.read() == runs


def test_a_broken_line_of_a_result_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "asynchrony.jsonl"
    path.write_text('{"arm": "a"}\n')
    with pytest.raises(ValueError, match=r"asynchrony\.jsonl:1: .*remove the line"):
        ResultFile(path).read()
