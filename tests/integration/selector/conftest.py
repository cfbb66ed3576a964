"""Each test has a run of its own, on the real broker and database, and a peer at the other end of its topics."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import Engine
from support.selector_loop import Loop
from support.selector_peer import Peer

from infra.settings.tree import Settings
from streams.admin import create_topics, topic_specs
from streams.clients import LogReader, make_producer
from streams.topics import Topic, topic_name
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows

_runs = count()


@pytest.fixture
def make_loop(engine: Engine, bootstrap: str) -> Iterator[Callable[..., Loop]]:
    loops: list[Loop] = []

    def make(**selector_settings) -> Loop:
        run_id = f"selector-{next(_runs)}"
        settings = Settings.model_validate(
            {
                "run": {"id": run_id},
                "topics": {"prefix": run_id, "partitions": 2},
                "database": {"url": engine.url.render_as_string(hide_password=False)},
                "broker": {"bootstrap_servers": bootstrap},
                "selector": SMALL | selector_settings,
            }
        )
        create_topics(settings.broker, bootstrap, topic_specs(settings))
        producer = make_producer(settings.broker, bootstrap)
        reader = LogReader(settings.broker, bootstrap, [topic_name(run_id, Topic.PROMPTS)])
        loop = Loop(settings, engine, bootstrap, Peer(settings, engine, producer, reader))
        loops.append(loop)
        return loop

    yield make
    for loop in loops:
        loop.kill()
        loop.peer.producer.close(timeout=1)
        loop.peer.reader.close()


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
