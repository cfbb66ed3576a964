"""A server with the OpenAI shapes around a tiny judge, and the judge that asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.judge_server import JudgeServer, remote, serving
from support.tiny_judge import save_tiny_judge

from workers.judges.base import Judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_judge(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def module_server(folder: Path) -> Iterator[JudgeServer]:
    with serving(folder) as found:
        yield found


@pytest.fixture
def server(module_server: JudgeServer) -> JudgeServer:
    module_server.mode, module_server.exact, module_server.retry_after = "well", False, ""
    module_server.votes, module_server.tokenize = [], None
    module_server.paths.clear()
    module_server.bodies.clear()
    return module_server


@pytest.fixture
def judge(server: JudgeServer) -> Iterator[Judge]:
    found = remote(server)
    yield found
    found.close()
