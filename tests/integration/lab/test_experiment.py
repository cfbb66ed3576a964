"""One tiny experiment through the same log: two arms, one seed, and a page at its end."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from infra.lab.experiment import Arm, Experiment, Findings, Results
from infra.lab.laboratory import Place, run_experiment
from infra.lab.pictures import draw_curves
from infra.lab.policy import StartSettings
from infra.lab.pool import Composition, Reward
from infra.lab.results import LabRun, ResultFile
from infra.lab.statistics import mean_of, rollouts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TINY = Composition(rungs=(6, 4, 2, 1, 1, 1, 1, 1), broken=1, coins=1, heldout=1, domains=("order", "counting"))
JUDGED = Composition(rungs=TINY.rungs, broken=1, coins=1, heldout=1, domains=TINY.domains, reward=Reward.TRUTH)
ARMS = (
    Arm(name="verified", label="by the verifier"),
    Arm(name="judged", label="by a weak judge", composition=JUDGED, weakness=1.0),
)


def conclude(results: Results) -> Findings:
    scores = {name: mean_of(runs, lambda run: run.curve[-1].score) for name, runs in results.items()}

    def draw(figure: Figure) -> None:
        draw_curves(figure.subplots(), ARMS, results, cost=rollouts, label="rollouts spent")

    return Findings(
        sentences=[f"{len(results)} arms ran."],
        rows=[{"arm": name, "score": score.text()} for name, score in scores.items()],
        draw=draw,
    )


TINY_EXPERIMENT = Experiment(
    name="tiny",
    title="A tiny experiment",
    question="Does it end with a page?",
    method="It trains four steps.",
    arms=ARMS,
    conclude=conclude,
    composition=TINY,
    changes={"selector.max_groups": 40, "selector.eval_every_versions": 2, "broker.kind": "embedded"},
    seeds=2,
)


def run(tmp_path: Path) -> tuple[list[str], list[LabRun], str]:
    said: list[str] = []
    place = Place(tmp_path / "out", tmp_path / "work")
    start = StartSettings(width=64, layers=2, steps=60)
    page = run_experiment(TINY_EXPERIMENT, place, 1, said.append, start=start)
    return said, ResultFile(place.results("tiny")).read(), page.read_text()


def test_an_experiment_ends_with_a_page_and_repeats_nothing(tmp_path: Path) -> None:
    said, results, page = run(tmp_path)
    assert [result.arm for result in results] == ["verified", "judged"]
    for result in results:
        assert sum(result.outcomes.values()) == 40
        assert set(result.outcomes) <= {"trained", "filtered"}
        assert sum(result.kinds.values()) == 40
        assert result.curve[0].version == 0
        assert result.curve[-1].rollouts == 8 * 40
        assert [point.rollouts for point in result.curve] == sorted(point.rollouts for point in result.curve)
    assert [point.proxy is None for result in results for point in result.curve[:1]] == [True, False]
    assert "2 arms ran" in page
    assert "2 seeds are planned" in page
    assert (tmp_path / "out" / "tiny.png").stat().st_size > 1000
    again, unchanged, same_page = run(tmp_path)
    assert len(said) == 4
    assert again == []
    assert unchanged == results
    assert same_page == page
