"""Folders of tiny models, made once."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def first_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("first"), seed=1)


@pytest.fixture(scope="session")
def second_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("second"), seed=2)


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tensors are there; the last one has another shape."""
    folder = save_tiny_model(tmp_path_factory.mktemp("odd"), seed=3)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(len(tensors["model.norm.weight"]) // 2)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
