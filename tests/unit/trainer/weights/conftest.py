from pathlib import Path

import pytest
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("policy"), seed=0)
