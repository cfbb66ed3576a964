"""`rewardstream rescore` on real brokers and a real database, with real verifier processes."""

import json
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session
from support.past_run import INSTALLED, JUDGED, MATH, RIGHT, WRONG, PastRun
from support.tiny_judge import save_tiny_judge

from infra.cli.errors import ExitCode
from infra.db.models import PromptStats, Score
from infra.db.rescores import RESCORED
from streams.messages import Purpose, Question
from streams.topics import Topic
from workers.scoring.rescore.topics import rescored_topics


def test_new_scores_lie_beside_the_old_and_running_again_adds_nothing(
    past: PastRun, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [first, _] = past.group(0, (RIGHT, WRONG), (1.0, 1.0))
    past.group(1, (WRONG, WRONG), (1.0, 0.0))
    past.group(2, (RIGHT, WRONG), (1.0, 0.0), purpose=Purpose.EVAL)
    past.group(3, ("Paris", "Rome"), (0.75, 0.25), question=JUDGED, domain="qa")
    past.send(first)  # a copy
    past.send_bytes(Topic.ROLLOUTS, b"\xc1 broken")

    assert past.rescore(monkeypatch, "--scorer", INSTALLED, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert past.new_scores() == {"0/0": 1.0, "0/1": 0.0, "1/0": 0.0, "1/1": 0.0, "2/0": 1.0, "2/1": 0.0}
    assert len(past.new_records()) == 6
    assert {record.key.decode() for record in past.new_records()} == {f"{past.run_id}:{seq}" for seq in range(3)}
    overall = summary["overall"]
    assert (overall["rollouts"], overall["became_wrong"], overall["became_right"], overall["unchanged"]) == (6, 2, 0, 4)
    assert (overall["old_mean"], overall["new_mean"]) == (0.6667, 0.3333)
    assert summary["groups"] | {"now_trained": 1, "now_filtered": 1, "incomplete": 0} == summary["groups"]
    assert summary["this_time"]["passed_over"] == {"judged by genrm": 2}
    assert summary["this_time"]["unreadable"] == 1
    folder = past.folder / past.run_id / f"rescore-{INSTALLED.replace('@', '-')}"
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert (folder / "changes.png").read_bytes().startswith(b"\x89PNG")

    with Session(engine) as session:
        rows = session.scalars(select(Score)).all()
        assert session.scalar(select(func.count()).select_from(PromptStats)) == 0
    assert {row.route for row in rows} == {RESCORED}
    assert {row.rollout_id.removeprefix(f"{past.run_id}:"): row.score for row in rows} == past.new_scores()

    with engine.begin() as connection:  # as if a kill had come between the log and Postgres
        connection.execute(delete(Score).where(Score.rollout_id == first.rollout_id))
    assert past.rescore(monkeypatch, "--scorer", "math", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    done = again["this_time"]
    assert (done["scored"], done["scored_already"], done["rows"]) == (0, 6, 1)
    assert len(past.new_records()) == 6
    assert again["overall"] == overall


def test_what_cannot_be_scored_is_reported_never_0_and_tried_again(
    past: PastRun, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    defective = Question(prompt="?", verifier="math")
    past.group(0, (RIGHT, WRONG), (1.0, 0.0))
    past.group(1, (RIGHT,), (1.0,), question=defective)
    options = ("--scorer", "math", "--json", "--set", "rtv.backoff_seconds=0.01")
    for scored in (2, 0):
        assert past.rescore(monkeypatch, *options) == ExitCode.FAILED
        shown = capsys.readouterr()
        summary = json.loads(shown.out)
        assert "rollouts that could not be scored: 1. They have no new score" in shown.err
        assert f"The first, {past.run_id}:1/0: " in shown.err
        assert (summary["this_time"]["scored"], summary["this_time"]["unscored"]) == (scored, 1)
        assert summary["by_domain"]["mathematics"]["unscored"] == 1
        assert summary["overall"]["new_mean"] == 0.5
    assert set(past.new_scores()) == {"0/0", "0/1"}
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Score)) == 2


def test_a_judge_rescores_what_a_verifier_scored(
    past: PastRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    past.group(0, ("Paris", "Rome"), (1.0, 0.0), question=msgspec.structs.replace(JUDGED, verifier="exact"))
    past.group(1, ("Paris",), (1.0,), question=Question(prompt="bright sea", verifier="exact"))
    judge = ("--set", f"genrm.model={save_tiny_judge(tmp_path / 'judge')}", "--set", "genrm.dtype=float32")
    assert past.rescore(monkeypatch, "--scorer", "genrm", *judge, "--json") == 0
    assert json.loads(capsys.readouterr().out)["this_time"]["passed_over"] == {"judged by exact": 3}
    assert past.rescore(monkeypatch, "--scorer", "genrm", "--others", *judge, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["this_time"]["scored"] == 2
    assert summary["this_time"]["passed_over"] == {
        "the question has neither a ground truth nor references to judge against": 1
    }
    scores = past.new_scores(summary["scorer"])
    assert set(scores) == {"0/0", "0/1"}
    assert all(score is not None and 0 < score < 1 for score in scores.values())


def test_a_dry_run_counts_and_writes_nothing(
    past: PastRun, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    past.group(0, (RIGHT, WRONG), (1.0, 0.0))
    past.group(1, ("Paris",), (0.5,), question=JUDGED)
    assert past.rescore(monkeypatch, "--scorer", "math", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["to_score"], plan["passed_over"]) == ({"mathematics": 2}, {"judged by genrm": 1})
    assert rescored_topics(past.settings.broker, past.bootstrap, past.settings.topics.prefix) == {}
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Score)) == 0


def test_another_version_than_the_installed_is_refused(
    past: PastRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    past.group(0, (RIGHT,), (1.0,), question=MATH)
    for scorer, said in (
        ("math@999", f"math@999 is not installed, {INSTALLED} is; verifiers: "),
        ("nobody", "no scorer is called 'nobody'; verifiers: "),
    ):
        assert past.rescore(monkeypatch, "--scorer", scorer) == ExitCode.USAGE
        error = capsys.readouterr().err
        assert said in error
        assert INSTALLED in error.partition("verifiers: ")[2]
