"""`rewardstream why` on one finished tiny run, which these tests share."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from infra.advice.story import UnknownNameError
from infra.cli.errors import CommandError
from infra.cli.why import _tell
from infra.db.engine import make_engine
from infra.db.models import Group, Score
from infra.settings.load import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]

SCREENFUL = 24


@pytest.fixture
def rows(finished_run: Path) -> Any:
    """Rows of the run's database."""
    engine = make_engine(load(str(finished_run / "latest" / "settings.json")).settings.database.url)

    def read(query: Any) -> Any:
        with engine.connect() as connection:
            return connection.execute(query).all()

    yield read
    engine.dispose()


def told(name: str, runs: Path) -> str:
    """The story, which is a screenful, and whose JSON holds the same name."""
    values, lines = _tell(name, "latest", runs)
    assert name in json.dumps(values, default=str)
    assert len(lines) <= SCREENFUL
    return "\n".join(lines)


def test_a_rollout_tells_its_way_from_dispatch_to_the_step(finished_run: Path, rows: Any) -> None:
    query = select(Score.rollout_id).join(Group, Group.group_id == Score.group_id)
    query = query.where(Group.outcome == "trained", Score.scorer == "exact")
    story = told(rows(query.limit(1))[0][0], finished_run)
    for part in (
        "say a",
        "train group of 4 responses",
        "because: selection round 0: in",
        "generated: by version",
        "of at most 6 tokens",
        "response: ",
        "read as the answer: ",
        "expected: a",
        "by exact@",
        "rule: exact: ",
        "closed as trained",
        "trained on in the step that made version",
        "mean reward",
    ):
        assert part in story


def test_a_group_tells_its_scores_and_how_it_closed(finished_run: Path, rows: Any) -> None:
    trained = rows(select(Group.group_id).where(Group.outcome == "trained").limit(1))[0][0]
    story = told(trained, finished_run)
    assert story.count(" tokens: ") == 4
    assert "closed as trained" in story
    measured = rows(select(Group.group_id).where(Group.purpose == "assess").limit(1))[0][0]
    story = told(measured, finished_run)
    assert "difficulty is measured" in story
    assert "a measurement, never trained on" in story


def test_a_prompt_and_a_run_tell_theirs(finished_run: Path, rows: Any) -> None:
    prompt = rows(select(Group.prompt_id).where(Group.outcome == "trained").limit(1))[0][0]
    story = told(prompt, finished_run)
    assert "scorer: " in story
    assert "groups: " in story
    run_id = (finished_run / "latest").readlink().name
    story = told(run_id, finished_run)
    assert story == "\n".join(_tell("latest", "latest", finished_run)[1])
    assert "phase finished" in story
    assert "trained: to version 2" in story
    assert "train groups: 8 trained" in story


def test_an_unknown_name_is_told_what_there_is(finished_run: Path) -> None:
    run_id = (finished_run / "latest").readlink().name
    for name, said in (
        (f"{run_id}:999", f"it dispatched {run_id}:0 to "),
        (f"{run_id}:0/99", "/0 to "),
        ("gone:0", f"it has {run_id}"),
        ("not-an-id", "names nothing"),
        ("", "prompts' ids begin with"),
    ):
        with pytest.raises((CommandError, UnknownNameError), match=said):
            _tell(name, "latest", finished_run)
