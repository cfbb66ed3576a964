from collections.abc import Iterator
from pathlib import Path

import pytest
from support.adapter_contract import AdapterContract
from support.engine_contract import FIRST, MAX_RUNNING, EngineContract
from support.tiny_model import CONTEXT

from workers.engines.base import Engine
from workers.engines.hf import HfEngine


class TestHfEngine(EngineContract):
    @pytest.fixture(scope="class")
    def made(self, first_folder: Path) -> Iterator[Engine]:
        engine = HfEngine(
            first_folder, dtype="float32", max_running=MAX_RUNNING, max_model_tokens=CONTEXT, weights=FIRST
        )
        yield engine
        engine.close()


class TestHfEngineWithAdapters(AdapterContract):
    @pytest.fixture(scope="class")
    def made(self, first_folder: Path) -> Iterator[Engine]:
        engine = HfEngine(first_folder, dtype="float32", max_running=MAX_RUNNING, max_model_tokens=CONTEXT)
        yield engine
        engine.close()
