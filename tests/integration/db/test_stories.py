"""The lines of `rewardstream why` on rows that were written by hand, of which one has its text in the log alone."""

import json
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, update
from support.run_rows import START, fill

from infra.advice.story import read_group, read_run
from infra.cli.runs import RunPlace
from infra.cli.why import _group_lines, _rollout_lines, _run_lines
from infra.db.models import Group, Prompt, Score
from infra.settings.load import with_changes
from infra.settings.tree import Settings


def test_a_trained_group_tells_its_step(engine: Engine, tmp_path: Path) -> None:
    fill(engine, purpose="train", groups=3)
    settings = with_changes(Settings(), run={"id": "r"})
    step = {"lineage": 0, "version": 4, "groups": 8, "reward": 0.25, "policy_loss": 0.5, "policy_gradient_norm": 1.5}
    (tmp_path / "steps.jsonl").write_text(json.dumps(step) + "\n")
    closed = {"closed_lineage": 0, "closed_version": 4, "staleness": 1, "closed_at": START + timedelta(seconds=29)}
    with engine.begin() as connection:
        question = {"prompt": "1 + 1?", "verifier": "exact", "ground_truth": "2"}
        connection.execute(update(Prompt).values(question=question))
        connection.execute(update(Group).where(Group.seq == 1).values(outcome="trained", reason="", **closed))
        connection.execute(update(Score).where(Score.rollout_id == "r:1/1").values(text=None, why="not 2", answer="3"))
        story = read_group(connection, tmp_path, settings, 1)
        run = read_run(connection, "r")
    place = RunPlace(tmp_path, settings)
    told = "\n".join(_rollout_lines(story, "r:1/1", story.of("r:1/1"), None, place))
    for part in (
        "rollout r:1/1 of run r",
        "1 + 1?",
        "no selection has decided on its prompt",
        "32 of at most 32 tokens, cut off",
        "not kept in the database, and the log is gone",
        "read as the answer: 3",
        "expected: 2",
        "0.000 wrong by exact@1 by rtv in 0.50 s: not 2",
        "rule: exact: ",
        "closed as trained at version 4",
        "the step that made version 4, 1 versions old: 8 groups, mean reward 0.250, policy loss 0.5000",
    ):
        assert part in told
    told = "\n".join(_group_lines(story, place))
    assert told.count(" tokens: ") == 4
    assert "none wrong by exact@1" in told
    told = "\n".join(_run_lines(run, ["raise it"]))
    assert "train groups: 1 filtered, 1 open, 1 trained" in told
    assert told.endswith("! raise it")
