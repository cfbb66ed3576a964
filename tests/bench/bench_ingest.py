"""Rows a second that `rewardstream prompts ingest` reads into Postgres: python tests/bench/bench_ingest.py [ROWS].

From the file to the last commit, on the embedded Postgres, one row in a hundred broken. Against it: the same reader,
then a parameter per value, and one batch after another.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from measures import Stopwatch, measure, note
from sqlalchemy import Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.engine import make_engine
from infra.db.migrate import upgrade_engine
from infra.db.models import Prompt
from infra.local.postgres import EmbeddedPostgres
from trainer.prompts.dataset import Defaults, PromptRow, read_dataset
from trainer.prompts.ingest import ingest
from workers.verifiers.registry import verifier_names

ROWS = 200_000
BATCH = 1000
BROKEN_EVERY = 100
QUESTION = (
    "Natalia sold clips to {0} of her friends in April, and then she sold half as many clips in May. How many did "
    "she sell altogether in April and May? Give the whole sum, then the answer, of order {0}, as one number."
)


def write(path: Path, rows: int, kind: str) -> Path:
    with path.open("w") as file:
        for number in range(rows):
            row = {
                "domain": ("mathematics", "coding", "writing")[number % 3],
                "prompt": QUESTION.format(f"{kind} {number}"),
                "verifier": "math",
                "ground_truth": str(number),
                "options": {"domain": "clips"},
            }
            file.write("{broken\n" if number % BROKEN_EVERY == 7 else json.dumps(row) + "\n")
    return path


def by_parameters(engine: Engine, path: Path) -> None:
    rows: list[dict[str, object]] = []
    for _, row in read_dataset(path, Defaults()):
        if isinstance(row, PromptRow):
            rows.append(
                {
                    "id": row.id,
                    "domain": row.domain,
                    "split": row.split,
                    "origin": row.origin,
                    "messages": list(row.messages),
                    "question": msgspec.to_builtins(row.question),
                    "source": row.source,
                }
            )
        if len(rows) == BATCH:
            insert_rows(engine, rows)
            rows = []
    if rows:
        insert_rows(engine, rows)


def insert_rows(engine: Engine, rows: list[dict[str, object]]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Prompt).on_conflict_do_nothing(), sorted(rows, key=lambda row: str(row["id"])))


def seconds(data: Path, action: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds, and CPU seconds of this process and of the server."""
    watch = Stopwatch(data)
    action()
    return watch.read()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # KiB on Linux


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="rewardstream-bench-") as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "data")
        engine = make_engine(server.start())
        try:
            upgrade_engine(engine)
            few = write(folder / "few.jsonl", min(rows, 20_000), "few")
            took = seconds(server.folder, lambda: by_parameters(engine, few))
            before, before_cpu, before_server = (each / min(rows, 20_000) for each in took)
            many = write(folder / "many.jsonl", rows, "many")
            warm = peak_mib()
            defaults = Defaults(verifiers=tuple(verifier_names()))  # each verifier reads its prompts, as in the command
            took = seconds(server.folder, lambda: ingest(engine, many, defaults, folder / "rejected.jsonl"))
            after, after_cpu, after_server = (each / rows for each in took)
            with engine.connect() as connection:
                note(f"{connection.scalar(select(func.count()).select_from(Prompt)):,} prompts")
        finally:
            engine.dispose()
            server.stop()
    few_rows = {
        "rows": min(rows, 20_000),
        "cpu_us_per_row": round(before_cpu * 1e6),
        "server_cpu_us_per_row": round(before_server * 1e6),
    }
    measure("ingest.rows_per_s.by_parameters", 1 / before, "rows/s", **few_rows)
    measure(
        "ingest.rows_per_s",
        1 / after,
        "rows/s",
        against="ingest.rows_per_s.by_parameters",
        ratio=before / after,
        rows=rows,
        cpu_us_per_row=round(after_cpu * 1e6),
        server_cpu_us_per_row=round(after_server * 1e6),
        peak_mib=round(peak_mib()),
        peak_mib_before=round(warm),
    )


if __name__ == "__main__":
    main()
