"""Each test has a run of its own, on the real broker and database, and a peer at the other end of its topics."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from support.broker_run import run_settings
from support.selector_loop import SelectorLoop

from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


@pytest.fixture
def make_loop(engine: Engine, bootstrap: str, tmp_path: Path) -> Iterator[Callable[..., SelectorLoop]]:
    loops: list[SelectorLoop] = []

    def make(**selector: Any) -> SelectorLoop:
        url = engine.url.render_as_string(hide_password=False)
        settings = run_settings(bootstrap, database={"url": url}, selector=SMALL | selector)
        loops.append(SelectorLoop(settings, bootstrap, tmp_path, engine))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


SMALL = {
    "admission": {"staleness": 1, "groups_per_step": 2, "window_share": 0.5},
    "preppo": {"samples": 3, "keep_share": 0.5},
    "group_size": 2,
    "eval_samples": 2,
    "max_steps": 3,
}


@pytest.fixture
def prompts(engine: Engine) -> dict[str, str]:
    """Two domains, each with 2 original, 4 new and 2 held-out prompts; id -> the prompt's text."""
    rows = [
        {
            "domain": domain,
            "prompt": f"{domain} {number}?",
            "verifier": verifier,
            "ground_truth": str(number),
            "split": "heldout" if number >= 6 else "train",
            "origin": "original" if number < 2 else "new",
        }
        for domain, verifier in (("mathematics", "exact"), ("knowledge", None))
        for number in range(8)
    ]
    parsed = [parse_row(row, Defaults()) for row in rows]
    ingest_rows(engine, parsed)
    return {row.id: row.question.prompt for row in parsed}
