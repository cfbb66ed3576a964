"""The engine on vLLM, in this process: vLLM's scheduler batches, and this module keeps the contract.

Invariants, in addition to those of `workers.engines.base`:
- There is one vLLM request per sample, added when a slot is free, so that all requests in vLLM run and none is queued.
- The prefix cache is salted with the weights' version: a prompt is never continued from keys and values that other
  weights made, unless its own continuation was already running when the weights changed.
- With `lora_rank`, adapters are loaded over the weights of `folder`: each replaces the one before it under the same id,
  so that running requests continue with the newer one.
- `reload_weights` and `load_inplace` adapters are vLLM's two ways to read weights from a folder, which is what the
  learner announces; its weight-transfer engines need the learner as a peer. Both happen between two steps, so that no
  request has to be paused and the tokens of a step belong to one version.
- If its cache is full, vLLM may preempt a running request; it later recomputes the request's keys and values, with the
  weights that it has by then.
"""

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.engines.adapters import is_adapter, read_adapter, require_same, shapes
from workers.engines.base import Generation, GenerationRequest, WeightVersion
from workers.engines.rows import RunningRow, check_request, start_row
from workers.engines.weights import require_shapes, shapes_of
from workers.models import chat

_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # steps are taken here, so that weights change between two of them
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
_ADAPTER = "policy"
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Allowed values of vLLM's `max_lora_rank`."""


class VllmEngine:
    name = "vllm"

    def __init__(
        self,
        folder: Path,
        *,
        max_running: int,
        max_model_tokens: int,
        dtype: str = "bfloat16",
        lora_rank: int = 0,
        arguments: Mapping[str, Any] | None = None,
        weights: WeightVersion = WeightVersion(0, -1),  # noqa: B008 (frozen)
    ) -> None:
        """Load the model. With `lora_rank` above 0 it takes adapters up to that rank instead of whole weights.
        `arguments` are vLLM's EngineArgs; they override those set here. Raises OSError, ValueError.
        """
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm.platforms import current_platform

        self._on_cpu: bool = current_platform.is_cpu()
        if self._on_cpu:
            # Read when vLLM's sampler is imported: compiling it for a CPU would take 20 s and a C++ compiler.
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
        from vllm import EngineArgs, LLMEngine

        options: dict[str, Any] = {
            "dtype": dtype,
            "max_model_len": max_model_tokens,
            "max_num_seqs": max_running,
            "logprobs_mode": "processed_logprobs",  # of the distribution after temperature and top_p
            "async_scheduling": False,  # a token belongs to the weights of the step that returns it
            "enforce_eager": self._on_cpu,
            "skip_tokenizer_init": True,
            "disable_log_stats": True,
        }
        if lora_rank:
            options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": allowed_rank(lora_rank)}
        self._engine: Any = LLMEngine.from_engine_args(
            EngineArgs(model=str(folder), **(options | dict(arguments or {})))
        )
        self._shapes = shapes_of(folder)
        self._takes_adapters = lora_rank > 0
        self._adapter: Any | None = None  # the adapter that requests name; None before the first
        self._adapter_shapes: dict[str, tuple[int, ...]] = {}
        self._tokenizer = chat.load_tokenizer(folder)
        self._end_tokens = chat.end_tokens(folder, self._tokenizer)
        self._max_running = max_running
        self._max_tokens = min(max_model_tokens, self._engine.model_config.max_model_len)
        self._weights = weights
        self._waiting: deque[tuple[GenerationRequest, int]] = deque()
        self._rows: dict[str, RunningRow] = {}
        self._added = 0

    @property
    def weights(self) -> WeightVersion:
        return self._weights

    @property
    def running(self) -> int:
        return len(self._rows) + len(self._waiting)

    def submit(self, request: GenerationRequest) -> None:
        check_request(request, self._max_tokens)
        self._waiting += [(request, index) for index in range(request.samples)]

    def step(self) -> list[Generation]:
        while self._waiting and len(self._rows) < self._max_running:
            self._add_request(*self._waiting.popleft())
        if not self._rows:
            return []
        finished = []
        for output in self._engine.step():
            row = self._rows[output.request_id]
            self._append_tokens(row, output.outputs[0])
            if output.finished:
                finished.append(self._rows.pop(output.request_id).generation())
        return finished

    def abort(self, key: str) -> int:
        before = self.running
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0].key != key)
        names = [name for name, row in self._rows.items() if row.request.key == key]
        self._engine.abort_request(names)
        for name in names:
            del self._rows[name]
        return before - self.running

    def load_weights(self, folder: Path, version: WeightVersion) -> None:
        if is_adapter(folder) != self._takes_adapters:
            kind = "an adapter" if is_adapter(folder) else "a whole model"
            raise ValueError(f"{folder} holds {kind}: a run's learner.lora must not change")
        if self._takes_adapters:
            self._load_adapter(folder)
        else:
            require_shapes(folder, self._shapes)
            self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
            if self._on_cpu:
                self._engine.apply_model(_repack_head)
        self._weights = version

    def encode_chat(self, messages: tuple[dict[str, str], ...]) -> tuple[int, ...]:
        return chat.encode_chat(self._tokenizer, messages)

    def decode(self, token_ids: tuple[int, ...]) -> str:
        return chat.decode(self._tokenizer, token_ids)

    def close(self) -> None:
        self._waiting.clear()
        self._engine.abort_request(list(self._rows))
        self._rows.clear()
        self._engine.engine_core.shutdown()

    def _load_adapter(self, folder: Path) -> None:
        from vllm.lora.request import LoRARequest

        found = shapes(read_adapter(folder))
        if self._adapter_shapes:
            require_same(folder, found, self._adapter_shapes)
        try:
            self._engine.add_lora(LoRARequest(_ADAPTER, 1, str(folder), load_inplace=True))
        except RuntimeError as error:  # vLLM loads the new one before it drops the old
            raise ValueError(f"{folder} is not an adapter that vLLM takes: {error}") from error
        self._adapter = LoRARequest(_ADAPTER, 1, str(folder))
        self._adapter_shapes = found

    def _add_request(self, request: GenerationRequest, index: int) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        row = start_row(request, index)
        sampling = SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_tokens=request.sampling.max_new_tokens,
            seed=row.stream >> 1,  # vLLM's seeds are signed
            stop_token_ids=sorted(self._end_tokens),
            logprobs=0,  # of the sampled token alone
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        prompt = {
            "prompt_token_ids": list(request.prompt_token_ids),
            "cache_salt": f"{self._weights.lineage}.{self._weights.version}",
        }
        self._added += 1
        name = str(self._added)
        self._rows[name] = row
        self._engine.add_request(name, prompt, sampling, lora_request=self._adapter)

    def _append_tokens(self, row: RunningRow, output: Any) -> None:
        for token, logprobs in zip(output.token_ids, output.logprobs, strict=True):
            row.append(token, logprobs[token].logprob, self._weights, self._end_tokens)


def allowed_rank(rank: int) -> int:
    """Returns the smallest rank that vLLM allows and that is at least `rank`. Raises ValueError above the largest."""
    fitting = [allowed for allowed in _RANKS if allowed >= rank]
    if not fitting:
        raise ValueError(f"learner.lora.rank = {rank}: vLLM serves adapters up to rank {_RANKS[-1]}")
    return fitting[0]


def _repack_head(model: Any) -> None:
    """Packs the output head again. vLLM's CPU kernels multiply by a packed copy of each weight. Reloading packs every
    layer again, except for an output head that shares the embedding's weight: no tensor of the checkpoint names it, so
    it would keep the old copy.
    """
    head = getattr(model, "lm_head", None)
    if head is not None and getattr(head, "quant_method", None) is not None:
        head.quant_method.process_weights_after_loading(head)
