"""Open-ended prompts in a real database, and runs that pick references for them, with a peer in the services' place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.broker_run import run_settings
from support.evaluation_loop import EvaluationLoop

from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


@pytest.fixture
def make_run(engine: Engine, bootstrap: str, tmp_path: Path) -> Iterator[Callable[[], EvaluationLoop]]:
    """Each call is another run on the same database, as a repeated command is."""
    loops: list[EvaluationLoop] = []

    def make() -> EvaluationLoop:
        url = engine.url.render_as_string(hide_password=False)
        settings = run_settings(bootstrap, database={"url": url}, rollout={"engine": {"max_running": 2}})
        loops.append(EvaluationLoop(settings, bootstrap, tmp_path, engine))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


@pytest.fixture
def prompts(engine: Engine) -> list[str]:
    """Ids of four open-ended prompts of two domains; one prompt with a ground truth is in the table too."""
    rows: list[dict[str, object]] = [
        {"domain": "writing" if number < 3 else "letters", "prompt": f"Write about {number}."} for number in range(4)
    ]
    known = {"domain": "knowledge", "prompt": "Capital of France?", "ground_truth": "Paris"}
    parsed = [parse_row(row, Defaults()) for row in [*rows, known]]
    ingest_rows(engine, parsed)
    return [row.id for row in parsed[:4]]
