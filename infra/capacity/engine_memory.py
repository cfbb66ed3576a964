"""Bytes of one engine: its weights, and the cache of keys and values, which bounds how many samples it decodes at once.

A token takes two vectors of the key-value width per layer (PagedAttention, 2309.06180, section 3). vLLM gives the cache
what `gpu_memory_utilization` leaves; the hf engine has a slot of the same length for every sample.
"""

from dataclasses import dataclass

from infra.capacity.model_shape import ModelShape
from infra.capacity.rows import RowSizes
from infra.settings.tree import Settings

_UTILISATION = 0.9
"""vLLM's default of gpu_memory_utilization."""
_WORK_BYTES = 2 * 2**30
"""What vLLM's profiling run takes: activations of 8,192 tokens, graphs and context."""
_FIRST_COLUMNS = 128
"""Smallest slot of the hf engine; workers.engines.kv_slots doubles it until a row fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """Bytes on one GPU."""

    weights: int
    cache: int
    work: int
    bytes_per_token: int
    """Keys and values of one token, on one GPU."""
    gpus: int
    """GPUs of one engine: vLLM's tensor_parallel_size."""
    samples: int
    """Samples that run at once, at most rollout.engine.max_running."""
    longest: int
    """Most tokens that fit one sample: rollout.engine.max_model_tokens, or what the cache holds."""

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work


def engine_memory(shape: ModelShape, settings: Settings, rows: RowSizes, gpu_memory: int) -> EngineMemory:
    """`gpu_memory`: bytes of a GPU. The cache is 0 if the weights leave nothing for it."""
    engine, number = settings.rollout.engine, 2 if settings.model.dtype == "bfloat16" else 4
    gpus = int(_argument(settings, "tensor_parallel_size", 1)) if engine.kind == "vllm" else 1
    weights = shape.parameters * number // gpus
    per_token = cache_bytes_per_token(shape, number) // gpus
    if engine.kind == "hf":
        cache = engine.max_running * slot_tokens(rows.prompt + rows.longest_response) * per_token
        return EngineMemory(
            weights=weights,
            cache=cache,
            work=0,
            bytes_per_token=per_token,
            gpus=gpus,
            samples=engine.max_running,
            longest=engine.max_model_tokens,
        )
    share = _argument(settings, "gpu_memory_utilization", _UTILISATION)
    cache = max(0, round(share * gpu_memory) - weights - _WORK_BYTES)
    tokens = cache // per_token
    samples = min(engine.max_running, tokens // (rows.prompt + rows.response))
    return EngineMemory(
        weights=weights,
        cache=cache,
        work=_WORK_BYTES,
        bytes_per_token=per_token,
        gpus=gpus,
        samples=samples,
        longest=min(engine.max_model_tokens, tokens),
    )


def cache_bytes_per_token(shape: ModelShape, number: int) -> int:
    """`number`: bytes of one number of the cache."""
    return 2 * shape.layers * shape.key_width * number


def slot_tokens(tokens: int) -> int:
    """Tokens of the hf engine's slots once a row has this many."""
    columns = _FIRST_COLUMNS
    while columns < tokens:
        columns *= 2
    return columns


def _argument(settings: Settings, name: str, default: float) -> float:
    """A number of rollout.engine.vllm_args."""
    value = settings.rollout.engine.vllm_args.get(name, default)
    return value if isinstance(value, int | float) else default
