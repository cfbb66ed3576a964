"""Seconds in which a selector resumes after many closings: python tests/bench/bench_resume.py [GROUPS].

The selector's own code on the embedded Postgres and broker. Its run has closed GROUPS groups before, and the learner
has closed some more while no selector ran. `selector.resume` is from the lock to the first tickets of the resumed
selector: position, claims, the closings that it missed, the schedule's counts of all groups, one dispatch. CPU seconds
of this process and of the server are next to the wall's, since a loaded machine takes longer.
"""

import sys
import tempfile
from pathlib import Path

from measures import Stopwatch, measure, note
from sqlalchemy import Engine, select, text, update

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.broker_run import run_settings
from support.messages import closed
from support.selector_loop import SelectorLoop, reach

from infra.db.engine import make_engine
from infra.db.migrate import upgrade_engine
from infra.db.models import Group
from infra.local.broker import EmbeddedBroker
from infra.local.postgres import EmbeddedPostgres
from trainer.curriculum.runs import Phase
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

GROUPS = 1_000_000
MISSED = 10_000
"""Closings while no selector ran: far more than admission lets through."""
PROMPTS = 1_000
GROUPS_PER_VERSION = 64
SELECTOR = {"eval_at_start": False, "preppo": {"enabled": False}, "group_size": 2, "max_steps": 0}
FILL = """
INSERT INTO groups (run_id, seq, group_id, prompt_id, purpose, samples, label, dispatched_version, dispatched_lineage,
    ticket_digest, confirmed, deadline, outcome, reason, closed_lineage, closed_ordinal, closed_version, staleness,
    mean_score)
SELECT CAST(:run AS varchar), seq, CAST(:run AS varchar) || ':' || seq,
    (CAST(:prompts AS varchar[]))[1 + seq % :count], 'train', 2, 'train', seq / :each, 1, sha256(seq::text::bytea),
    true, now() + interval '1 day',
    'trained', '', 1, seq, 1 + seq / :each, 0, 0.5
FROM generate_series(CAST(0 AS bigint), :last - 1) AS seq
"""


def main() -> None:
    groups = int(sys.argv[1]) if len(sys.argv) > 1 else GROUPS
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as name:
        folder = Path(name)
        broker, server = EmbeddedBroker(folder / "broker.log"), EmbeddedPostgres(folder / "data")
        broker.start()
        engine = make_engine(server.start())
        try:
            upgrade_engine(engine)
            settings = run_settings(
                broker.bootstrap,
                database={"url": engine.url.render_as_string(hide_password=False)},
                selector=SELECTOR,
            )
            loop = SelectorLoop(settings, broker.bootstrap, folder, engine)
            try:
                prepare(loop, engine, groups)
                note("resuming")
                watch = Stopwatch(folder / "data")
                context, phases = loop.resume()
                loop.round(context, phases)
                wall, client, used = watch.read()
                check(loop, groups)
            finally:
                loop.close()
        finally:
            engine.dispose()
            server.stop()
            broker.stop()
    cpu = {"selector_cpu_seconds": round(client, 2), "server_cpu_seconds": round(used, 2)}
    measure("selector.resume.seconds", wall, "s", groups=groups, missed_closings=MISSED, **cpu)


def prepare(loop: SelectorLoop, engine: Engine, groups: int) -> None:
    """A run in training that has closed `groups` groups, and has more open whose closings are in the log."""
    rows = [{"domain": "sums", "prompt": f"{n}?", "ground_truth": str(n), "verifier": "exact"} for n in range(PROMPTS)]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    loop.peer.start_lineage()
    loop.round(*reach(loop, Phase.TRAIN))
    loop.kill()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM groups"))
        note(f"filling {groups} groups")
        values = {"run": loop.settings.run.id, "prompts": [row.id for row in parsed], "count": PROMPTS}
        connection.execute(text(FILL), values | {"each": GROUPS_PER_VERSION, "last": groups + MISSED})
        still_open = {"outcome": None, "reason": None, "closed_lineage": None, "closed_ordinal": None}
        still_open |= {"closed_version": None, "staleness": None, "mean_score": None}
        connection.execute(update(Group).where(Group.seq >= groups).values(still_open))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) groups"))
    note(f"writing {MISSED} closings")
    for first in range(groups, groups + MISSED, 1000):
        loop.send(
            *(
                closed(seq, seq, run_id=loop.settings.run.id, version=1 + seq // GROUPS_PER_VERSION, mean_score=0.5)
                for seq in range(first, first + 1000)
            )
        )


def check(loop: SelectorLoop, groups: int) -> None:
    """Raises SystemExit unless every closing was applied and tickets were dispatched."""
    with loop.engine.connect() as connection:
        open_ = connection.scalars(select(Group.seq).where(Group.outcome.is_(None))).all()
    if not open_ or min(open_) != groups + MISSED:
        raise SystemExit(f"the resumed selector is wrong: open groups are {sorted(open_)[:5]}")


if __name__ == "__main__":
    main()
