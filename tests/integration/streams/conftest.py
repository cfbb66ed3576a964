import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings.tree import Settings

# The examples of every message, and the judge's server, serve both kinds of tests.
UNIT = Path(__file__).parents[2] / "unit"
sys.path += [str(UNIT / "streams"), str(UNIT / "judges")]

from stage_loop import Loop  # noqa: E402 (needs the path above)


@pytest.fixture
def loop(topic_settings: Settings, tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(topic_settings, tmp_path)
    yield loop
    loop.close()
