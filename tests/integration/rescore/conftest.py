"""A run that is over: its folder, its log on a real broker, its database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.past_run import PastRun

from infra.local.run_folder import write_settings
from infra.settings.tree import Settings


@pytest.fixture
def past(topic_settings: Settings, engine: Engine, tmp_path: Path) -> Iterator[PastRun]:
    tree = topic_settings.model_dump() | {
        "database": {"url": engine.url.render_as_string(hide_password=False)},
        "run": {"id": topic_settings.run.id, "folder": str(tmp_path), "prepared": str(tmp_path / "prepared")},
    }
    settings = Settings.model_validate(tree)
    (tmp_path / settings.run.id).mkdir()
    write_settings(settings, tmp_path / settings.run.id)
    past = PastRun(settings, settings.broker.bootstrap_servers, tmp_path)
    yield past
    past.close()
