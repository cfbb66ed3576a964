"""Views of the page over real Postgres: selection, monitors and comparison of runs that stand in the tables."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.advice.story import UnknownNameError
from infra.db.models import Evaluation, Group, GuardCheck, Prompt, Run, Score
from infra.page.readers.comparison import ComparisonReader
from infra.page.readers.monitors import MonitorsReader
from infra.page.readers.selection import read_selection
from infra.page.readers.shown_run import ShownRun, open_reader
from infra.page.readers.steps_file import StepsFile
from infra.page.serving.answers import encode
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from trainer.curriculum.selection import select_round

START = datetime(2026, 1, 1, tzinfo=UTC)
SCRIPT = "<script>document.title = 'broken'</script>"
DOMAINS = ("sums", "words")


def group(run_id, seq, domain, purpose, version):
    return Group(
        run_id=run_id, seq=seq, group_id=f"{run_id}:{seq}", prompt_id=f"{domain}-{purpose}", purpose=purpose, samples=2,
        label="after" if purpose == "eval" else "", dispatched_version=version, dispatched_lineage=0, ticket_digest=b"",
        confirmed=True, dispatched_at=START, deadline=START, closed_version=version + 1, closed_at=START,
        outcome="trained" if purpose == "train" else "filtered",
    )  # fmt: skip


def score(of, domain, index, value, **changes):
    values = {
        "rollout_id": f"{of.group_id}/{index}", "route": "genrm", "scorer": "judge", "scorer_version": "1",
        "run_id": of.run_id, "group_id": of.group_id, "prompt_id": of.prompt_id, "domain": domain,
        "purpose": of.purpose, "policy_version": of.dispatched_version, "score": value, "status": "judged", "why": "",
        "response_tokens": 4, "seconds": 0.1, "scored_at": START + timedelta(seconds=index),
    }  # fmt: skip
    return Score(**values | changes)


def fill(session, run_id, best):
    """A run with one train group a version and domain, and one held-out prompt a domain, which scores `best`."""
    session.add(Run(id=run_id, phase="train", settings={"run": {"id": run_id}, "learner": {"best": best}}))
    session.flush()
    seq = 0
    for domain in DOMAINS:
        for purpose, version in (("train", 0), ("train", 1), ("eval", 2)):
            made = group(run_id, seq, domain, purpose, version)
            values = (best, best) if purpose == "eval" else (0.9, 0.2)
            session.add_all([made, *(score(made, domain, index, value) for index, value in enumerate(values))])
            seq += 1
    for domain in (*DOMAINS, "overall"):
        session.add(
            Evaluation(
                run_id=run_id, label="after", domain=domain, version=2, prompts=1, samples=2, mean=best, low=0, high=1
            )
        )


@pytest.fixture
def shown(engine, tmp_path: Path):
    with Session(engine) as session, session.begin():
        for domain in DOMAINS:
            for purpose in ("train", "eval"):
                session.add(
                    Prompt(
                        id=f"{domain}-{purpose}", domain=domain, split="train" if purpose == "train" else "heldout",
                        origin="new", messages=[], question={"prompt": SCRIPT, "ground_truth": "5"},
                    )
                )  # fmt: skip
        session.flush()
        fill(session, "r", 0.75)
        fill(session, "s", 0.25)
        session.add(
            GuardCheck(
                run_id="r", label="after", route="genrm", domain="sums", version=2, scorers="", prompts=1, credited=0.9,
                confirmed=0.2, reward=0.9, since_label="before", since_version=0, reward_change=0.5, true_change=0.0,
                z=6.0, z_limit=3.0, alarm=True,
            )
        )  # fmt: skip
    settings = with_changes(Settings(), run={"id": "r", "folder": str(tmp_path)})
    with engine.begin() as connection:
        select_round(connection, settings, 0, 2)
    reader = open_reader(engine.url.render_as_string(hide_password=False), 10)
    yield ShownRun(settings, tmp_path, reader)
    reader.dispose()


def test_the_selection_counts_every_prompt_once_and_shows_the_shares(shown, engine):
    view = read_selection(shown)
    with engine.connect() as connection:
        prompts = len(connection.execute(select(Prompt.id).where(Prompt.split == "train")).all())
    assert [(one.round, one.version) for one in view.rounds] == [(0, 2)]
    assert sum(line.prompts for line in view.reasons) == prompts
    assert [(line.domain, line.asked, line.trained) for line in view.shares] == [
        ("sums", 0.5, 0.5),
        ("words", 0.5, 0.5),
    ]
    assert {point.version for point in view.trend} == {1, 2}
    assert b"<script>" not in encode(view.reasons)


def test_monitors_show_the_alarm_and_the_judge(shown):
    view = MonitorsReader(shown, StepsFile(shown.folder)).view()
    panels = {panel.title: panel for panel in (*view.hacking, *view.policy)}
    assert [(alarm.domain, alarm.version) for alarm in view.alarms] == [("sums", 2)]
    assert panels["Evidence of reward hacking"].curves[0].points[0].y == 2.0
    assert [point.y for point in panels["Judge's scores above 0.5"].curves[0].points] == [0.5, 0.5]
    assert panels["Exploitation rate"].curves == []
    assert panels["Canaries called right"].curves == []
    assert view.guard.startswith("the guard has tested 1 evaluation;")


def test_two_runs_are_compared_on_the_prompts_that_both_answered(shown):
    reader = ComparisonReader(shown)
    assert [(run.run_id, run.heldout) for run in reader.runs().runs] == [("s", 0.25)]
    view = reader.comparison("s")
    assert (view.ours.version, view.theirs.label, view.ours.scorers) == (2, "after", ["judge@1"])
    overall = view.domains[0]
    assert (overall.domain, overall.shared, overall.difference) == ("overall", 2, 0.5)
    assert [(line.path, line.ours, line.theirs) for line in view.settings] == [("learner.best", 0.75, 0.25)]
    assert [(line.prompt, line.ours, line.theirs) for line in view.better] == [(SCRIPT, 0.75, 0.25)] * 2
    assert (list(view.worse), view.equal) == ([], 0)
    assert reader.comparison("s") is view
    with pytest.raises(UnknownNameError, match="no run 'none'"):
        reader.comparison("none")
