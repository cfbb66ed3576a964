"""Seconds and megabytes of a selection round over a million prompts: python tests/bench/bench_select.py [PROMPTS].

The selector's own code on the embedded Postgres, with ten recorded scores per prompt: round 0, a round by a mixture of
rules with rest and quotas, and the ids of the prompts in training, as the schedule takes them. The megabytes are the
peaks of this process and of its session's own memory in the server, together; pages that all sessions share are left
out. CPU seconds of both are next to the wall's, since a loaded machine takes longer.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from bench_sink import RUN, fill, outside_transaction
from measures import measure, note
from sqlalchemy import Connection, Engine, func, select, text

from infra.db.engine import make_engine
from infra.db.migrate import upgrade_engine
from infra.db.models import Score
from infra.local.postgres import EmbeddedPostgres
from infra.settings.tree import Settings
from trainer.curriculum.schedule import Schedule
from trainer.curriculum.selection import select_round, selected

PROMPTS = 1_000_000
SCORES_PER_PROMPT = 10
SAMPLE_SECONDS = 0.01
FILL_PROMPTS = """
INSERT INTO prompts (id, domain, split, origin, messages, question, source)
SELECT encode(sha256(i::text::bytea), 'hex'),
    (ARRAY['mathematics', 'coding', 'writing', 'knowledge', 'logic'])[1 + i % 5], 'train',
    CASE WHEN i % 10 = 0 THEN 'original' ELSE 'new' END,
    jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('What is ' || i || '? ', 10))),
    jsonb_build_object('prompt', repeat('What is ' || i || '? ', 10), 'verifier', 'math', 'ground_truth', i::text),
    'bench'
FROM generate_series(0, :prompts - 1) AS i
"""
FILL_STATISTICS = """
INSERT INTO prompt_stats (run_id, prompt_id, route, count, mean, m2, passes, successes, failures, evidence_version,
    last, repeats)
SELECT :run, id, 'rtv', 10, 0.5, 1, 5, 10 * draw, 10 * (1 - draw), (draw * 1000)::int % 100, round(draw),
    1 + number % 40
FROM (SELECT id, number, (hashtext(id) & 65535) / 65535.0 AS draw FROM prompts) AS drawn
"""
LATER = {
    "mixture": {"lowest": 1, "informative": 2, "skip": 1},
    "rest_after_groups": 4,
    "stale_after_versions": 90,
}


@dataclass
class Peak:
    """Peaks in MiB since the watch began; `cpu_seconds` of both processes in that time."""

    client: float = 0.0
    server: float = 0.0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watch(self, backend: int) -> Iterator[None]:
        processes = psutil.Process(), psutil.Process(backend)
        sampler = threading.Thread(target=self._sample, args=(backend,))
        cpu, started = _cpu(processes), time.perf_counter()
        sampler.start()
        try:
            yield
        finally:
            self._stop.set()
            sampler.join()
        self.seconds, self.cpu_seconds = time.perf_counter() - started, _cpu(processes) - cpu

    def _sample(self, backend: int) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.client = max(self.client, _own_mib(os.getpid()))
            self.server = max(self.server, _own_mib(backend))


def _own_mib(pid: int) -> float:
    """Memory that the process shares with no other."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell RssAnon")


def _cpu(processes: tuple[psutil.Process, ...]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def prepare(engine: Engine, prompts: int) -> None:
    fill(engine, prompts * SCORES_PER_PROMPT)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE prompt_stats"))
        connection.execute(text(FILL_PROMPTS), {"prompts": prompts})
        connection.execute(text(FILL_STATISTICS), {"run": RUN})
    outside_transaction(engine, "VACUUM (ANALYZE) prompts", "VACUUM (ANALYZE) prompt_stats", "CHECKPOINT")


def watched(engine: Engine, action: Callable[[Connection], object]) -> Peak:
    with engine.begin() as connection:
        backend = connection.scalar(select(func.pg_backend_pid()))
        assert backend is not None
        peak = Peak()
        with peak.watch(backend):
            action(connection)
            connection.commit()
    engine.dispose()
    return peak


def report(name: str, peak: Peak, **details: object) -> None:
    measure(f"{name}.seconds", peak.seconds, "s", cpu_seconds=round(peak.cpu_seconds, 2), **details)
    mib = peak.client + peak.server
    measure(
        f"{name}.megabytes", mib * 1.048576, "MB", selector=round(peak.client), server=round(peak.server), **details
    )


def main() -> None:
    prompts = int(sys.argv[1]) if len(sys.argv) > 1 else PROMPTS
    settings = Settings.model_validate({"run": {"id": RUN}})
    later = Settings.model_validate({"run": {"id": RUN}, "selector": {"preppo": LATER}})
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "data")
        engine = make_engine(server.start())
        try:
            upgrade_engine(engine)
            prepare(engine, prompts)
            with engine.connect() as connection:
                scores = connection.scalar(select(func.count()).select_from(Score))
            note(f"{prompts:,} prompts, {scores:,} scores")
            first = watched(engine, lambda connection: select_round(connection, settings, 0, 0))
            second = watched(engine, lambda connection: select_round(connection, later, 1, 100))
            schedule = Schedule(0, {}, {})
            ids = watched(engine, lambda connection: schedule.select(selected(connection, RUN, 1)))
        finally:
            engine.dispose()
            server.stop()
    report("select", first, prompts=prompts, scores=scores)
    report("select.later", second, prompts=prompts, scores=scores)
    report("select.ids", ids, selected=sum(map(len, schedule.prompts.values())))


if __name__ == "__main__":
    main()
