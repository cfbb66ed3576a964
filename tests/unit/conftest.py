from pathlib import Path

import pytest
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real architecture of the demo's policy, small."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), seed=0)
