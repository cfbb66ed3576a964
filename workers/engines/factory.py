"""Makes the engine that settings ask for."""

from pathlib import Path

from infra.settings.tree import EngineSettings
from workers.engines.base import Engine


def make_engine(settings: EngineSettings, folder: Path, dtype: str, *, lora_rank: int = 0) -> Engine:
    """Makes an engine for the model in `folder`; it holds no announced version yet. `lora_rank` is the rank of the
    adapters that will be announced, 0 if whole weights will be. Raises OSError or ValueError.
    """
    if settings.kind == "vllm":
        from workers.engines.vllm import VllmEngine

        return VllmEngine(
            folder,
            max_running=settings.max_running,
            max_model_tokens=settings.max_model_tokens,
            dtype=dtype,
            lora_rank=lora_rank,
            arguments=settings.vllm_args,
        )
    import torch

    from workers.engines.hf import HfEngine

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return HfEngine(folder, max_running=settings.max_running, max_model_tokens=settings.max_model_tokens, dtype=dtype)
