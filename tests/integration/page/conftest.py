import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.chromium import Tab, chromium
from support.page_run import fill, page_data

from infra.page.serving.routes import PageData
from infra.page.serving.server import PageServer


@dataclass(frozen=True)
class Served:
    url: str
    data: PageData
    folder: Path


@contextmanager
def served(data: PageData, port: int = 0) -> Iterator[PageServer]:
    server = PageServer(data, "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def data(engine: Engine, tmp_path: Path) -> Iterator[PageData]:
    folder = tmp_path / "runs" / "r"
    made = page_data(engine, folder, fill(engine, folder))
    yield made
    made.close()


@pytest.fixture
def page(data: PageData) -> Iterator[Served]:
    """The page of the hand-written run, served."""
    with served(data) as server:
        yield Served(server.url, data, data.run.folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    with chromium() as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """An empty tab; what a test's scripts complain of is its failure."""
    browser.open("about:blank")
    browser.console.clear()
    browser.size(1280, 900)
    yield browser
    assert browser.console == []
