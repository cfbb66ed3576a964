from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from support.broker_run import run_settings
from support.stage_loop import StageLoop


@pytest.fixture
def make_loop(bootstrap: str, tmp_path: Path) -> Iterator[Callable[..., StageLoop]]:
    """From what differs in its sections of settings."""
    loops: list[StageLoop] = []

    def make(**sections: Any) -> StageLoop:
        loops.append(StageLoop(run_settings(bootstrap, **sections), bootstrap, tmp_path))
        return loops[-1]

    yield make
    for loop in loops:
        loop.close()


@pytest.fixture
def loop(make_loop: Callable[..., StageLoop]) -> StageLoop:
    return make_loop()


@pytest.fixture
def database(engine: Engine) -> dict[str, str]:
    """The section of settings."""
    return {"url": engine.url.render_as_string(hide_password=False)}
