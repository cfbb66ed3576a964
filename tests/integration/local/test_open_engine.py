"""A database for a command outside of a stack: the embedded server of the newest run, or one of its own."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import select, text

from infra.db.models import Run
from infra.local.open_engine import is_embedded, open_engine
from infra.settings.database import DatabaseSettings


def test_the_running_embedded_server_of_the_newest_run_is_used(empty_database: str, tmp_path: Path) -> None:
    """The run may be of an older version: of its settings, only the address is read."""
    folder = tmp_path / "latest"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"gone": {"option": 1}, "database": {"url": empty_database}}))
    with open_engine(DatabaseSettings(), tmp_path) as engine, engine.connect() as connection:
        assert (
            connection.scalar(text("SELECT current_database()"))
            == empty_database.rsplit("/", maxsplit=1)[-1].split("?", maxsplit=1)[0]
        )
    assert not (tmp_path / "postgres").exists()


def test_without_a_run_a_server_is_started_for_the_block_and_keeps_its_data() -> None:
    # Not below pytest's own folder: another pytest that starts closes that one to the server's user.
    with TemporaryDirectory(prefix="rewardstream-engine-") as folder:
        for expected in (0, 1):
            with open_engine(DatabaseSettings(), Path(folder)) as engine, engine.begin() as connection:
                assert len(connection.execute(select(Run.id)).all()) == expected
                if not expected:
                    connection.execute(text("INSERT INTO runs (id, phase, settings) VALUES ('r', 'train', '{}')"))
        assert not (Path(folder) / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://user@host/rewardstream", "postgresql+psycopg://user@/rewardstream"],
)
def test_an_embedded_server_listens_on_a_socket_only(url: str) -> None:
    assert not is_embedded(url)
    assert is_embedded("postgresql+psycopg://rewardstream@/rewardstream?host=%2Ftmp%2Fdata")
