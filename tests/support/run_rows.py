"""Rows of a run `r` in training: groups of four responses that all scored 0, the first of them open."""

from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.db.models import Group, Prompt, Run, Score

START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(engine: Engine, *, purpose: str, groups: int) -> None:
    with Session(engine) as session, session.begin():
        session.add(Run(id="r", phase="train", settings={}, train_started_at=START, trained_seconds=0.0))
        prompt = {"domain": "sums", "split": "train", "origin": "original", "messages": [], "question": {"prompt": "1"}}
        session.add(Prompt(id="p", **prompt))
        session.flush()
        for seq in range(groups):
            row = {"run_id": "r", "seq": seq, "group_id": f"r:{seq}", "prompt_id": "p", "purpose": purpose}
            session.add(
                Group(
                    **row, samples=4, dispatched_version=0, dispatched_lineage=0, ticket=b"",
                    ticket_digest=b"", deadline=START,
                    outcome="filtered" if seq else None, reason="zero_variance" if seq else None,
                )
            )  # fmt: skip
            for index in range(4):
                session.add(_score(seq, index))


def _score(seq: int, index: int) -> Score:
    return Score(
        rollout_id=f"r:{seq}/{index}", route="rtv", scorer="exact", scorer_version="1", run_id="r", group_id=f"r:{seq}",
        prompt_id="p", domain="sums", purpose="train", policy_version=0, score=0.0 if index or seq != 1 else None,
        status="wrong", why="", text="", response_tokens=32 if index else 5, seconds=0.5, scored_at=START,
    )  # fmt: skip
