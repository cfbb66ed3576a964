"""The page's JSON of a run that was written by hand, from a real Postgres."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from support.page_run import GROUPS, LONG, SCRIPT, SIZE, add_step

from infra.advice.story import UnknownNameError
from infra.page.serving.answers import encode
from infra.page.serving.routes import PageData


def read(data: PageData, path: str, **query: str):
    return json.loads(encode(data.read(path, query)))


def test_the_start_page_has_health_counts_and_both_curves(data: PageData) -> None:
    overview = read(data, "overview")
    assert overview["version"] == 2
    assert overview["groups"]["train"] == {"trained": 4, "filtered": 1, "open": 1}
    assert overview["health"]["level"] == "bad"
    assert "its processes are gone" in overview["health"]["reason"]
    trend = read(data, "trend")
    assert trend["domains"] == ["sums", "words"]
    assert [step["rewards"]["sums"] for step in trend["steps"]] == [0.25, 0.5]
    assert [one["mean"] for one in trend["heldout"] if one["domain"] == "overall"] == [0.25, 0.5]
    loop = read(data, "loop")
    assert {part["state"] for part in loop["parts"]} == {"unknown"}
    assert loop["open_groups"] == 1


def test_a_step_leads_to_its_groups_and_a_group_to_its_rollouts(data: PageData) -> None:
    step = read(data, "steps/2")
    assert [one["seq"] for one in step["trained"]] == [2, 3]
    assert [one["seq"] for one in step["others"]] == [4]
    assert step["trained"][0]["scores"] == [0.0, 1.0, 0.0, 0.0]
    assert (step["previous"], step["next"]) == (1, None)
    group = read(data, "groups/2")
    assert [one["index"] for one in group["verdicts"]] == list(range(SIZE))
    assert (group["verdicts"][2]["cut"], len(group["verdicts"][2]["text"])) == (True, 4000)
    assert (group["previous"], group["next"], group["expected"]) == (1, 3, "<b>5</b>")
    rollout = read(data, "rollouts/2/2")
    assert rollout["text"] == LONG
    assert rollout["verdicts"][0]["answer"] == SCRIPT
    assert rollout["strip_missing"] == "the run's log is not available"
    prompt = read(data, "prompts/prompt-sums")
    assert [one["seq"] for one in prompt["samples"]] == [0, 2, 4]
    assert (prompt["samples"][0]["best"]["index"], prompt["samples"][0]["worst"]["score"]) == (1, 0.0)


def test_an_open_group_tells_its_age_and_place(data: PageData) -> None:
    found = read(data, "open")
    (group,) = found["groups"]
    assert (found["total"], group["seq"], group["scored"]) == (1, 5, 1)
    assert "3 of 4 responses" in group["place"]
    assert group["left_seconds"] < 0 < group["age_seconds"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["5/0", "4/0", "4/1", "4/2", "4/3"]),
        ({"domain": "words", "outcome": "trained", "score": "one"}, ["3/1", "1/1"]),
        ({"sort": "longest", "outcome": "trained"}, ["3/3", "3/2", "3/1", "3/0", "2/3"]),
        ({"sort": "best"}, ["4/1", "3/1", "2/1", "1/1", "0/1"]),
        ({"text": "ONERROR", "version": "0"}, ["1/0", "0/0"]),
        ({"text": "100%"}, []),
        ({"outcome": "open"}, ["5/0"]),
        ({"route": "genrm"}, []),
        ({"status": "correct", "sort": "oldest"}, ["0/1", "1/1", "2/1", "3/1", "4/1"]),
        ({"purpose": "eval"}, []),
    ],
)
def test_the_table_filters_and_sorts(data: PageData, query: dict[str, str], found: list[str]) -> None:
    table = read(data, "rollouts", **query)
    assert [f"{one['seq']}/{one['index']}" for one in table["rows"]][:5] == found
    assert all(len(one["text"] or "") <= 160 for one in table["rows"])
    assert table["counted"] == len(table["rows"])


def test_what_is_not_there_is_said(data: PageData) -> None:
    for path, said in (
        ("steps/9", "its newest is 2"),
        ("groups/9", "it dispatched r:0 to r:5"),
        ("rollouts/1/9", "has 4 responses"),
        ("prompts/none", "no prompt's id begins"),
        ("prompts/prompt-", "more than one"),
        ("secrets", "there is no view"),
    ):
        with pytest.raises(UnknownNameError, match=said):
            data.read(path, {})
    for query in ({"sort": "random"}, {"score": "two"}, {"page": "99999"}):
        with pytest.raises(ValueError, match=next(iter(query))):
            data.read("rollouts", query)


def test_steps_are_read_on_as_the_file_grows(data: PageData) -> None:
    assert len(read(data, "trend")["steps"]) == 2
    add_step(data.run.folder, 3)
    with (data.run.folder / "steps.jsonl").open("a") as file:
        file.write('{"lineage": 0, "versi')
    assert [step["version"] for step in read(data, "trend")["steps"]] == [1, 2, 3]
    assert read(data, "steps/3")["numbers"]["version"] == 3


def test_the_page_cannot_write_and_its_queries_end(data: PageData) -> None:
    with data.run.engine.connect() as connection, pytest.raises(DBAPIError, match="read-only transaction"):
        connection.execute(text("DELETE FROM scores"))
    with data.run.engine.connect() as connection:
        connection.execute(text("SET statement_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.execute(text("SELECT pg_sleep(20)"))
    with data.run.engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "10s"
        assert len(GROUPS) == connection.scalar(text("SELECT count(*) FROM groups"))


def test_a_run_that_has_not_begun_has_a_page(data: PageData, tmp_path: Path) -> None:
    from support.page_run import page_data

    from infra.settings.load import with_changes

    settings = with_changes(data.run.settings, run={"id": "new"})
    fresh = page_data(data.run.engine, tmp_path / "runs" / "new", settings)
    try:
        assert read(fresh, "overview")["phase"] == "starting"
        assert read(fresh, "trend") == {"domains": [], "steps": [], "steps_per_point": 1, "heldout": []}
        assert read(fresh, "rollouts")["rows"] == []
    finally:
        fresh.close()
