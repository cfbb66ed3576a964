"""What a report reads of a run, with values that a test changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.report.collect import GroupRow, Response, RunRecord
from infra.report.summary import RunFacts

START = datetime(2026, 1, 1, tzinfo=UTC)


def response(prompt: str, label: str, score: float | None, domain: str = "a", **other: Any) -> Response:
    fields = {
        "rollout_id": f"{prompt}/{label}",
        "purpose": "eval",
        "outcome": "filtered",
        "status": "correct",
        "why": "",
        "text": "",
        "tokens": 4,
        "scorer": "exact 1",
    }
    return Response(**{**fields, "prompt_id": prompt, "label": label, "score": score, "domain": domain, **other})


def group(seq: int, **other: Any) -> GroupRow:
    row = GroupRow(
        seq=seq,
        prompt_id="p",
        domain="a",
        purpose="train",
        label="",
        outcome="trained",
        reason="",
        staleness=1,
        version=2,
        mean_score=0.5,
        dispatched_at=START + timedelta(seconds=seq),
        closed_at=START + timedelta(seconds=seq + 1),
    )
    return replace(row, **other)


FACTS = RunFacts(wall_seconds=100.0, prepare_seconds=10.0, broker="embedded", seed=3)


def record(groups: tuple[GroupRow, ...] = (), responses: tuple[Response, ...] = ()) -> RunRecord:
    return RunRecord("run", "finished", START, START, START, groups, responses, (), {})
