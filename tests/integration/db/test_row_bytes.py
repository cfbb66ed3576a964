"""Bytes that a group adds to the database, by formula and by Postgres."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from support.messages import ticket

from infra.capacity.hardware import Assumptions
from infra.capacity.rows import row_sizes
from infra.capacity.stored_bytes import database_bytes_per_group, selection_round_bytes
from infra.db.models import Group, Prompt, Selection
from infra.db.sink import ScoredRecord, ScoreSink
from infra.settings.tree import Settings
from streams.codec import encode
from streams.messages import Question

ROOT = Path(__file__).parents[3]
RUN = "run-20261201-120000"
FOLDERS = ("infra", "trainer", "workers")
PAGES = "".join(page.read_text(encoding="utf-8") for name in FOLDERS for page in sorted((ROOT / name).rglob("*.md")))
PROMPT_TOKENS, SAMPLES = 60, 8


def prose(characters, seed):
    """English of the project's own pages, since how well Postgres compresses a text depends on the text."""
    start = seed * 7919 % (len(PAGES) - characters)
    return PAGES[start : start + characters]


def stored(engine, *tables):
    with engine.connect() as connection:
        sizes = [connection.scalar(text(f"SELECT pg_total_relation_size('{table}')")) for table in tables]
    return sum(sizes)


def vacuum(engine, *tables):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            connection.execute(text(f"VACUUM {table}"))


def prompt_id(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def add_groups(engine, first, count, response_tokens, kept):
    question = Question(prompt=prose(PROMPT_TOKENS * 4, 1), verifier="math", ground_truth="7" * 200)
    sink = ScoreSink(engine, 0.9, "difficulty")
    for seq in range(first, first + count):
        with engine.begin() as connection:
            connection.execute(insert(Group), [group_row(seq, question)])
        sink.write([replace(score(seq, index, response_tokens), keeps_text=kept) for index in range(SAMPLES)])


def group_row(seq, question):
    messages = ({"role": "user", "content": question.prompt},)
    asked = ticket(
        seq, run_id=RUN, prompt_id=prompt_id(seq % 20), messages=messages, question=question, samples=SAMPLES
    )
    return {
        "run_id": RUN,
        "seq": seq,
        "group_id": f"{RUN}:{seq}",
        "prompt_id": prompt_id(seq % 20),
        "purpose": "train",
        "samples": SAMPLES,
        "label": "",
        "dispatched_version": seq,
        "dispatched_lineage": 1,
        "ticket": None,
        "ticket_digest": hashlib.sha256(encode(asked)).digest(),
        "confirmed": True,
        "outcome": "trained",
        "reason": "",
        "closed_lineage": 1,
        "closed_ordinal": seq,
        "closed_version": seq,
        "staleness": 1,
        "mean_score": 0.5,
        "closed_at": datetime.now(UTC),
        "deadline": datetime.now(UTC),
    }


def score(seq, index, tokens):
    return ScoredRecord(
        topic="scored",
        partition=seq % 4,
        offset=seq * SAMPLES + index,
        rollout_id=f"{RUN}:{seq}/{index}",
        route="rtv",
        scorer="math",
        scorer_version="1.2",
        run_id=RUN,
        group_id=f"{RUN}:{seq}",
        prompt_id=prompt_id(seq % 20),
        domain="mathematics",
        purpose="train",
        policy_version=seq,
        score=float(index % 2),
        status="correct" if index % 2 else "wrong",
        why="equal as numbers: 42",
        text=prose(tokens * 4, seq * SAMPLES + index),
        response_tokens=tokens,
        seconds=0.004,
        scored_at=1.7e9,
        surprisal=0.4,
        answer="42",
    )


@pytest.mark.parametrize(
    ("tokens", "groups", "kept"), [(50, 150, True), (400, 60, True), (4000, 25, True), (4000, 120, False)]
)
def test_a_group_takes_the_planned_bytes(tokens, groups, kept, engine):
    with engine.begin() as connection:
        rows = [
            {
                "id": prompt_id(number),
                "domain": "mathematics",
                "split": "train",
                "origin": "original",
                "messages": [],
                "question": {},
            }
            for number in range(20)
        ]
        connection.execute(insert(Prompt), rows)
    tables = ("scores", "groups")
    add_groups(engine, 0, 20, tokens, kept)
    vacuum(engine, *tables)
    before = stored(engine, *tables)
    apart = {t: stored(engine, t) for t in tables}
    add_groups(engine, 20, groups, tokens, kept)
    vacuum(engine, *tables)
    assumptions = Assumptions(prompt_tokens=PROMPT_TOKENS, response_tokens=tokens)
    sizes = row_sizes(Settings(rollout={"sampling": {"max_new_tokens": 2 * tokens}}), assumptions)
    planned = database_bytes_per_group(sizes, SAMPLES, assumptions, texts=float(kept))
    print(
        {t: (stored(engine, t) - b) / groups for t, b in apart.items()},
        (stored(engine, *tables) - before) / groups,
        "planned",
        planned,
    )
    assert planned == pytest.approx((stored(engine, *tables) - before) / groups, rel=0.15)


def test_a_selection_round_takes_the_planned_bytes(engine):
    def add(round_number):
        rows = [
            {
                "run_id": RUN,
                "round": round_number,
                "prompt_number": number,
                "selected": number % 10 == 0,
                "reason": "kept",
                "rule": "lowest",
                "value": 0.3,
                "a": 1.5,
                "b": 2.5,
                "scores": 5,
                "age": 3,
                "last": 1.0,
                "repeats": 1,
            }
            for number in range(5000)
        ]
        with engine.begin() as connection:
            connection.execute(insert(Selection), rows)

    add(0)
    before = stored(engine, "selections")
    add(1)
    planned = selection_round_bytes(replace(Assumptions(), prompts=5000))
    assert planned == pytest.approx(stored(engine, "selections") - before, rel=0.15)
