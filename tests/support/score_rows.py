"""Rows of scores as the sink is given them."""

from infra.db.sink import ScoredRecord


def record(number, score, prompt="p0", partition=0, offset=None):
    return ScoredRecord(
        topic="scored",
        partition=partition,
        offset=number if offset is None else offset,
        rollout_id=f"r:{number}/0",
        route="rtv",
        scorer="exact",
        scorer_version="1",
        run_id="r",
        group_id=f"r:{number}",
        prompt_id=prompt,
        domain="qa",
        purpose="train",
        policy_version=number,
        score=score,
        status="infra_error" if score is None else "correct",
        why="",
        text="text",
        response_tokens=1,
        seconds=0.1,
        scored_at=1.7e9,
    )
