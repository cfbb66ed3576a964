from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stage_loop import Loop

from infra.settings.tree import Settings


@pytest.fixture
def loop(topic_settings: Settings, tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(topic_settings, tmp_path)
    yield loop
    loop.close()
