"""What new scores changed: every rollout, prompt and group is counted once."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from infra.cli.rescore_table import print_changes, print_plan
from infra.report.build import write_rescore
from infra.report.rescored import by_domain, change_of, groups, histogram, movers, plan_of, summarise
from infra.settings.learner import LearnerSettings
from streams.messages import Purpose
from workers.scoring.rescore.comparison import ScorePair
from workers.scoring.rescore.picker import RescorePicker, RescoreSelection
from workers.scoring.rescore.run import RescoreResult

SELECTION = RescoreSelection(run_id="r", scorer="math")


def pair(
    old: float | None, new: float | None, *, group: int = 0, index: int = 0, size: int = 2, domain: str = "mathematics"
) -> ScorePair:
    return ScorePair(
        rollout_id=f"r:{group}/{index}",
        group_id=f"r:{group}",
        group_size=size,
        prompt_id=f"p{group}",
        domain=domain,
        purpose=Purpose.TRAIN,
        old=old,
        old_scorer="" if old is None else "math@1",
        new=new,
        why=f"why {group}/{index}",
    )


def group_of(number: int, *scores: tuple[float | None, float | None], domain: str = "mathematics") -> list[ScorePair]:
    return [pair(*each, group=number, index=i, size=len(scores), domain=domain) for i, each in enumerate(scores)]


def summary_of(pairs: list[ScorePair]) -> dict[str, object]:
    found = RescoreResult(RescorePicker(SELECTION, lambda _: None), scored=len(pairs), rows=len(pairs), seconds=1.5)
    return summarise(
        selection=SELECTION,
        scorer="math@2",
        topic="r.scored.math.2",
        found=found,
        pairs=pairs,
        learner=LearnerSettings(),
    )


def test_rollouts_by_what_became_of_them() -> None:
    pairs = [pair(0.0, 1.0), pair(1.0, 0.0), pair(1.0, 0.75), pair(0.0, None), pair(None, 1.0), pair(None, None)]
    change = change_of(pairs)
    assert (change.became_right, change.became_wrong, change.unchanged) == (1, 1, 1)
    assert (change.unscored, change.was_unscored, change.rollouts) == (2, 1, 6)
    assert (change.old_mean, change.new_mean) == (pytest.approx(2 / 3), pytest.approx(1.75 / 3))


SCORES = st.sampled_from([None, 0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.tuples(SCORES, SCORES, st.sampled_from("abc")), max_size=30))
def test_counts_of_a_rescore_add_up(drawn: list[tuple[float | None, float | None, str]]) -> None:
    pairs = [pair(old, new, group=n, domain=domain) for n, (old, new, domain) in enumerate(drawn)]
    for change in by_domain(pairs).values():
        parts = change.became_right + change.became_wrong + change.unchanged + change.unscored + change.was_unscored
        assert parts == change.rollouts
    both = sum(p.old is not None and p.new is not None for p in pairs)
    assert sum(map(sum, histogram(pairs))) == both
    assert sum(change.rollouts for change in by_domain(pairs).values()) == len(pairs)


def test_groups_by_whether_their_scores_spread() -> None:
    pairs = [
        *group_of(0, (1.0, 1.0), (0.0, 0.0)),
        *group_of(1, (1.0, 1.0), (1.0, 0.0)),
        *group_of(2, (1.0, 1.0), (0.0, 1.0)),
        *group_of(3, (0.0, 1.0), (0.0, 1.0)),
        *group_of(4, (0.0, None), (1.0, 1.0)),
        *group_of(5, (0.0, 0.0), (1.0, 1.0))[:1],
    ]
    change = groups(pairs, 0.01)
    assert (change.trained_by_both, change.now_trained, change.now_filtered) == (1, 1, 1)
    assert (change.filtered_by_both, change.incomplete) == (1, 2)
    assert groups(pairs, None).trained_by_both == 4


def test_prompts_that_moved_most_come_first_and_those_that_did_not_are_left_out() -> None:
    pairs = [*group_of(0, (0.0, 0.5)), *group_of(1, (1.0, 0.0), (1.0, 0.75)), *group_of(2, (0.5, 0.5))]
    assert [(move.prompt_id, move.old_mean, move.new_mean) for move in movers(pairs)] == [
        ("p1", 1.0, 0.375),
        ("p0", 0.0, 0.5),
    ]
    assert movers(pairs, most=1)[0].why == "why 1/0"


def test_summary_and_picture_are_files_and_the_table_names_what_changed(tmp_path: Path) -> None:
    pairs = [*group_of(0, (0.0, 1.0), (0.0, 0.0)), *group_of(1, (1.0, 0.0), (0.0, 0.0), domain="qa")]
    summary = write_rescore(tmp_path / "rescore-math-2", summary_of(pairs))
    assert json.loads((tmp_path / "rescore-math-2" / "summary.json").read_text()) == summary
    assert Path(summary["picture"]).read_bytes().startswith(b"\x89PNG")
    shown = io.StringIO()
    print_changes(summary, Console(file=shown, width=80))
    lines = shown.getvalue().splitlines()
    assert lines[0] == "math@2 over run r, against math@1 (4)"
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["mathematics"] == ["2", "0.000", "0.500", "1", "0", "1", "0"]
    assert rows["overall"] == ["4", "0.250", "0.250", "1", "1", "2", "0"]
    assert "1 trained on before would be filtered now, 1 filtered before would be trained on" in shown.getvalue()


def test_without_a_rollout_that_has_both_scores_there_is_no_picture(tmp_path: Path) -> None:
    summary = write_rescore(tmp_path, summary_of([pair(None, 1.0)]))
    assert summary["picture"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_plan_says_what_would_be_scored() -> None:
    found = RescoreResult(RescorePicker(SELECTION, lambda _: None))
    found.picker.picked["mathematics"] = 3
    found.picker.passed_over["judged by genrm"] = 2
    shown = io.StringIO()
    print_plan(plan_of(SELECTION, "math@2", found), Console(file=shown, width=80))
    assert "nothing was written" in shown.getvalue()
    assert "2 judged by genrm" in shown.getvalue()
