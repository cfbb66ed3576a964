"""Scored rollouts a second that go into a table of ten million: python tests/bench/bench_sink.py [ROWS].

`sink.rows_per_s` is the sink, from rows in memory to the commit, on the embedded Postgres. Against it, on the same
table: a parameter per value and an UPDATE per prompt, as a program without a JSON parameter would write, with the four
indexes that the schema had then. `sink.stage_rows_per_s` is the stage's own handler, from the log's bytes to the
commit; only Faust is left out.
"""

import asyncio
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path

from measures import Stopwatch, measure, note
from sqlalchemy import Connection, Engine, bindparam, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.engine import make_engine
from infra.db.migrate import upgrade_engine
from infra.db.models import PromptStats, Score
from infra.db.sink import ScoredRecord, ScoreSink, score_row
from infra.db.statistics import Running
from infra.local.postgres import EmbeddedPostgres
from infra.settings.tree import DifficultySettings
from streams.apps.difficulty_sink import DifficultyHandler, Sink
from streams.arrays import pack_logprobs, pack_tokens
from streams.codec import encode
from streams.messages import (
    Purpose,
    Question,
    Rollout,
    Route,
    Sampling,
    ScoredTrajectory,
    Segment,
    Source,
    Status,
    Timings,
    VersionSpan,
    group_id,
    rollout_id,
)
from streams.records import Record

ROWS = 10_000_000
RUN = "run-1"
GROUP = 8
TOKENS = 64
TURNS = 4
COUNTED = 6_000
"""Rows per turn: seconds, and enough for the pages that a checkpoint makes dear to come and go."""
OLD_INDEXES = {
    "ix_scores_prompt": "CREATE INDEX ix_scores_prompt ON scores (prompt_id)",
    "ix_scores_run_label": "CREATE INDEX ix_scores_run_label ON scores (run_id, purpose)",
}
FILL = """
INSERT INTO scores (rollout_id, route, scorer, scorer_version, run_id, group_id, prompt_id, domain, purpose,
    policy_version, score, status, why, text, response_tokens, seconds, scored_at)
SELECT :run || ':' || i / 8 || '/' || i % 8, 'rtv', 'math', '3.1', :run, :run || ':' || i / 8,
    encode(sha256((i / 8 % :prompts)::text::bytea), 'hex'), 'mathematics', 'train', i / 64000, i % 8 / 7.0, 'correct',
    'the answer 42 is not 17', repeat(md5(i::text), 8), 64, 0.01, now()
FROM generate_series(0, :rows - 1) AS i
"""
FILL_STATISTICS = """
INSERT INTO prompt_stats (run_id, prompt_id, route, count, mean, m2, passes, successes, failures, evidence_version)
SELECT :run, encode(sha256(i::text::bytea), 'hex'), 'rtv', 8, 0.5, 1, 4, 4, 4, 1 FROM generate_series(0, :prompts - 1) i
"""


class ParameterSink:
    """A parameter per value, and Welford's update in Python per score."""

    def __init__(self, engine: Engine, decay: float) -> None:
        self._engine, self._decay = engine, decay

    def write(self, records: Sequence[ScoredRecord]) -> int:
        with self._engine.begin() as connection:
            rows = [score_row(record) for record in sorted(records, key=lambda record: record.key)]
            connection.execute(insert(Score).on_conflict_do_nothing().returning(Score.rollout_id), rows).all()
            self._count(connection, records)
        return len(records)

    def _count(self, connection: Connection, records: Sequence[ScoredRecord]) -> None:
        key = PromptStats.run_id, PromptStats.prompt_id, PromptStats.route
        names = [field.name for field in fields(Running)]
        keys = sorted({(record.run_id, record.prompt_id, record.route) for record in records})
        empty = dict(zip(names, astuple(Running()), strict=True))
        plain = [{"run_id": run, "prompt_id": prompt, "route": route, **empty} for run, prompt, route in keys]
        connection.execute(insert(PromptStats).on_conflict_do_nothing(), plain)
        query = select(*key, *(getattr(PromptStats, name) for name in names)).where(tuple_(*key).in_(keys))
        running = {
            tuple(row[:3]): Running(*row[3:]) for row in connection.execute(query.order_by(*key).with_for_update())
        }
        for record in records:
            at = record.run_id, record.prompt_id, record.route
            running[at] = running[at].add(record.score or 0.0, record.policy_version, self._decay)
        where = [column == bindparam(f"_{column.key}") for column in key]
        statement = update(PromptStats.__table__).where(*where).values({name: bindparam(name) for name in names})
        found = [{"_run_id": r, "_prompt_id": p, "_route": t, **asdict(value)} for (r, p, t), value in running.items()]
        connection.execute(statement, found)


def fill(engine: Engine, rows: int) -> None:
    """The table without its indexes first, which is three times as fast."""
    prompts = max(1, rows // 10)
    with engine.begin() as connection:
        connection.execute(text("SET maintenance_work_mem = '512MB'"))
        indexes = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'scores'"))
        made = {name: definition for name, definition in indexes}  # noqa: C416 (to dict's type a Row is not a pair)
        key = made.pop("scores_pkey")
        connection.execute(text("ALTER TABLE scores DROP CONSTRAINT scores_pkey"))
        for name in made:
            connection.execute(text(f"DROP INDEX {name}"))
        connection.execute(text(FILL), {"run": RUN, "rows": rows, "prompts": prompts})
        connection.execute(text(f"ALTER TABLE scores ADD PRIMARY KEY {key[key.index('(') :]}"))
        for definition in (*made.values(), *OLD_INDEXES.values()):
            connection.execute(text(definition))
        connection.execute(text(FILL_STATISTICS), {"run": RUN, "prompts": prompts})
    outside_transaction(engine, "VACUUM (ANALYZE) scores", "VACUUM (ANALYZE) prompt_stats", "CHECKPOINT")


def outside_transaction(engine: Engine, *statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))


def records(first: int, count: int, prompts: int) -> list[Record]:
    """Groups of known prompts, in any order, as the log gives them."""
    draw = random.Random(first)
    found = []
    for number in range(first, first + count):
        if number % GROUP == 0 or not found:
            prompt = hashlib.sha256(str(draw.randrange(prompts)).encode()).hexdigest()
        value = encode(trajectory(number // GROUP, number % GROUP, prompt, draw))
        found.append(Record("scored", 0, number, 0.0, b"", value))
    return found


def trajectory(seq: int, index: int, prompt: str, draw: random.Random) -> ScoredTrajectory:
    group, tokens = group_id(RUN, seq), [draw.randrange(50_000) for _ in range(TOKENS)]
    made = Segment(source=Source.POLICY, token_ids=pack_tokens(tokens), logprobs=pack_logprobs([-0.5] * TOKENS))
    score = draw.randrange(8) / 7
    rollout = Rollout(
        run_id=RUN,
        group_id=group,
        rollout_id=rollout_id(group, index),
        seq=seq,
        prompt_id=prompt,
        domain="mathematics",
        purpose=Purpose.TRAIN,
        index=index,
        group_size=GROUP,
        segments=(Segment(source=Source.PROMPT, token_ids=pack_tokens(tokens)), made),
        spans=(VersionSpan(0, seq // 8000, TOKENS),),
        finish_reason="stop",
        text=f"{draw.randbytes(120).hex()} so the answer is 17",
        question=Question(prompt="What is 6 * 7?", verifier="math", ground_truth="42"),
        sampling=Sampling(temperature=1.0, max_new_tokens=TOKENS),
        timings=Timings(dispatched=0.0, started=0.0, finished=0.0),
        deadline=2e11,
    )
    return ScoredTrajectory(
        rollout=rollout,
        score=score,
        status=Status.CORRECT if score > 0.5 else Status.WRONG,
        why="the answer 17 is not 42",
        route=Route.RTV,
        scorer="math",
        scorer_version="3.1",
        seconds=0.01,
        scored_at=time.time(),
    )


def seconds(sink: Sink, batch: int, log: Sequence[Record], data: Path) -> tuple[float, float, float, float]:
    """Seconds of the sink and of the whole handler; CPU seconds of this process and of the server."""
    timed = TimedSink(sink)
    handler = DifficultyHandler(stage="difficulty", sink=timed, dead_letters="dead-letters")

    async def write() -> None:
        for start in range(0, len(log), batch):
            assert not await handler.handle(list(log[start : start + batch])), "a record went to the dead letters"

    watch = Stopwatch(data)
    asyncio.run(write())
    return timed.seconds, *watch.read()


class TimedSink:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.seconds = 0.0

    def write(self, records: Sequence[ScoredRecord]) -> int:
        started = time.perf_counter()
        written = self._sink.write(records)
        self.seconds += time.perf_counter() - started
        return written


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    settings = DifficultySettings()
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "data")
        engine = make_engine(server.start())
        try:
            upgrade_engine(engine)
            fill(engine, rows)
            with engine.connect() as connection:
                note(f"{connection.scalar(select(func.count()).select_from(Score)):,} scores")
            logs = [records(rows + turn * COUNTED, COUNTED, max(1, rows // 10)) for turn in range(2 * TURNS)]
            by_parameters = ParameterSink(engine, settings.decay_per_version)
            before = [seconds(by_parameters, 128, log, server.folder) for log in logs[:TURNS]]
            for name in OLD_INDEXES:
                outside_transaction(engine, f"DROP INDEX {name}")
            sink = ScoreSink(engine, settings.decay_per_version, "difficulty")
            after = [seconds(sink, settings.batch, log, server.folder) for log in logs[TURNS:]]
        finally:
            engine.dispose()
            server.stop()
    for place, name in enumerate(("sink.rows_per_s", "sink.stage_rows_per_s")):
        old, new = (TURNS * COUNTED / sum(turn[place] for turn in turns) for turns in (before, after))
        against = f"{name}.by_parameters"
        measure(against, old, "rows/s", rows=rows, batch=128, **cpu_of(before))
        measure(name, new, "rows/s", against=against, ratio=new / old, rows=rows, batch=settings.batch, **cpu_of(after))


def cpu_of(turns: Sequence[tuple[float, ...]]) -> dict[str, int]:
    """Microseconds per row of the handler's CPU and of the server's."""
    own, server = (round(sum(turn[place] for turn in turns) / (TURNS * COUNTED) * 1e6) for place in (2, 3))
    return {"cpu_us_per_row": own, "server_cpu_us_per_row": server}


if __name__ == "__main__":
    main()
