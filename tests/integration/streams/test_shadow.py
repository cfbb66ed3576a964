"""Both routes on the same rollouts, through all scoring stages: rewards, shadows, vetoes, and their calibration."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.stage_loop import StageLoop, rollout
from support.tiny_judge import save_tiny_judge

from infra.db.calibration import read_calibration
from infra.db.models import PromptStats, Score
from streams.codec import decode, header
from streams.messages import Route, ScoredTrajectory, Status
from streams.topics import Topic

VETOED = {"verifier": None, "veto": "math"}


def test_rewards_shadows_and_vetoes_and_how_the_routes_agree(
    make_loop: Callable[..., StageLoop], database: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    judge = {"model": str(save_tiny_judge(tmp_path / "judge")), "dtype": "float32", "canary_every": 0}
    loop = make_loop(database=database, genrm=judge, router={"shadow_share": 1.0}, run={"id": "r1"})
    loop.send(
        rollout(0),
        rollout(1, "The answer is 6"),
        rollout(2, "The sea is bright.", verifier="sentence", ground_truth=None, options={"topic": "the sea"}),
        rollout(3, "The answer is 5", **VETOED),
        rollout(4, "The answer is 6", **VETOED),
    )
    with loop.serving("router"), loop.serving("rtv"), loop.serving("genrm"), loop.serving("difficulty"):
        records = loop.read(Topic.SCORED, 9)
        loop.await_committed("difficulty", 9)

    scored = {}
    for record in records:
        one = decode(record.value, ScoredTrajectory)
        scored[one.rollout.rollout_id, one.route] = one
        assert (header(record.headers, "shadow") == "1") is one.details.get("shadow", False)
    shadows = {key for key, one in scored.items() if one.details.get("shadow")}
    # The third has nothing that a judge could compare with: no copy of it was made, and none was set aside.
    assert len(records) == len(scored) == 9
    assert shadows == {
        ("r1:0/0", Route.GENRM),
        ("r1:1/0", Route.GENRM),
        ("r1:3/0", Route.RTV),
        ("r1:4/0", Route.RTV),
    }
    assert scored["r1:3/0", Route.GENRM].status is Status.JUDGED
    vetoed = scored["r1:4/0", Route.GENRM]
    assert (vetoed.score, vetoed.status) == (0.0, Status.WRONG)
    assert vetoed.why.startswith("vetoed by math: ")
    said = vetoed.details["judged"]
    assert 0 < said < 1

    with Session(engine) as session:
        rows = {(row.rollout_id, row.route): row for row in session.scalars(select(Score))}
        stats = {row.route: row.count for row in session.scalars(select(PromptStats))}
        [found] = read_calibration(session.connection(), "r1")
    assert {key for key, row in rows.items() if row.shadow} == shadows
    assert rows["r1:4/0", Route.GENRM].judged == said
    assert stats == {"rtv": 5, "genrm": 4}
    opinions = [scored["r1:0/0", Route.GENRM].score, scored["r1:1/0", Route.GENRM].score]
    opinions += [scored["r1:3/0", Route.GENRM].score, said]
    verified = [1.0, 0.0, 1.0, 0.0]
    pairs = list(zip(opinions, verified, strict=True))
    assert (found.pairs, found.verified) == (4, 2)
    assert found.over_scored == sum(opinion > 0.5 and truth == 0 for opinion, truth in pairs)
    assert found.under_scored == sum(opinion <= 0.5 and truth == 1 for opinion, truth in pairs)
    assert found.verifier.startswith("math@")
