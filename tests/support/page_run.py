"""A run `r` for the page: two steps of two groups, a filtered and an open group, held-out means, and hostile texts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.db.models import Evaluation, Group, Prompt, Run, Score
from infra.page.readers.shown_run import ShownRun, open_reader
from infra.page.serving.routes import PageData
from infra.settings.load import with_changes
from infra.settings.tree import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
SCRIPT = '<script>document.title = "broken"</script><img src=x onerror="document.title = \'broken\'">'
REVERSED = "safe\u202egnihtemos\u202c\u200b\u200b end"
LONG = "long " * 210_000
"""A text of 1 MiB."""
TEXTS = (SCRIPT, REVERSED, LONG, "")
GROUPS = (("trained", 1), ("trained", 1), ("trained", 2), ("trained", 2), ("filtered", 2), (None, None))
"""Outcome and version of each group, by its seq."""
SIZE = 4


def fill(engine: Engine, folder: Path) -> Settings:
    with Session(engine) as session, session.begin():
        session.add(Run(id="r", phase="train", settings={}, train_started_at=START, trained_seconds=60.0))
        for name in ("sums", "words"):
            session.add(
                Prompt(
                    id=f"prompt-{name}", domain=name, split="train", origin="original", messages=[],
                    question={"prompt": f"{name}: {SCRIPT}", "verifier": "exact", "ground_truth": "<b>5</b>"},
                )
            )  # fmt: skip
        session.flush()
        for seq, (outcome, version) in enumerate(GROUPS):
            session.add(_group(seq, outcome, version))
            session.add_all(_score(seq, index) for index in range(SIZE if outcome else 1))
        for label, version, mean in (("before", 0, 0.25), ("v2", 2, 0.5)):
            for domain in ("sums", "words", "overall"):
                session.add(
                    Evaluation(
                        run_id="r", label=label, domain=domain, version=version, prompts=4, samples=8, mean=mean,
                        low=mean - 0.1, high=mean + 0.1,
                    )
                )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for version in (1, 2):
        add_step(folder, version)
    return with_changes(Settings(), run={"id": "r", "folder": str(folder.parent)})


def add_step(folder: Path, version: int) -> None:
    line = {
        "lineage": 0, "version": version, "at": START.timestamp() + version, "reward": 0.5, "entropy": 2.0,
        "rewards": {"sums": 0.25 * version, "words": 0.5}, "seconds": {"total": 3.0}, "groups": 2, "policy_loss": 0.1,
        "policy_gradient_norm": 1.0,
    }  # fmt: skip
    with (folder / "steps.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def page_data(engine: Engine, folder: Path, settings: Settings) -> PageData:
    reader = open_reader(engine.url.render_as_string(hide_password=False), 10)
    return PageData(ShownRun(settings, folder, reader), "")


def _group(seq: int, outcome: str | None, version: int | None) -> Group:
    return Group(
        run_id="r", seq=seq, group_id=f"r:{seq}", prompt_id=f"prompt-{'words' if seq % 2 else 'sums'}", purpose="train",
        samples=SIZE, dispatched_version=version or 2, dispatched_lineage=0, ticket=b"", ticket_digest=b"",
        confirmed=True, dispatched_at=START + timedelta(seconds=seq), deadline=START + timedelta(minutes=5),
        outcome=outcome, reason="zero_variance" if outcome == "filtered" else "", closed_lineage=0 if outcome else None,
        closed_version=version, staleness=1 if outcome == "trained" else None, mean_score=0.25 if outcome else None,
        closed_at=START + timedelta(seconds=30) if outcome else None,
    )  # fmt: skip


def _score(seq: int, index: int) -> Score:
    return Score(
        rollout_id=f"r:{seq}/{index}", route="rtv", scorer="exact", scorer_version="7", run_id="r", group_id=f"r:{seq}",
        prompt_id=f"prompt-{'words' if seq % 2 else 'sums'}", domain="words" if seq % 2 else "sums", purpose="train",
        policy_version=max(0, seq // 2), score=1.0 if index == 1 else 0.0, status="correct" if index == 1 else "wrong",
        why=SCRIPT, text=TEXTS[index], response_tokens=10 * seq + index, seconds=0.5, scored_at=START, answer=SCRIPT,
    )  # fmt: skip
