"""The engine on transformers: continuous batching over one slot cache, on a CPU or one GPU.

Invariants, in addition to those of `workers.engines.base`:
- A prompt is prefilled once for all its samples. A row that ends leaves the batch at once, and waiting requests join it
  at the next step.
- Weights change only between two steps. The cached keys and values of running rows stay those of the weights that made
  them; the new weights compute every later token over that cache, and its log-prob is of exactly this computation.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Cache, DynamicCache

from workers.engines import attention
from workers.engines.base import EngineRefusesError, Generation, GenerationRequest, WeightVersion
from workers.engines.kv_slots import KVSlots, as_past
from workers.engines.rows import RunningRow, check_request, start_row
from workers.engines.sampling import draw, uniforms
from workers.engines.weights import load_in_place
from workers.models import chat
from workers.models.layer_kinds import partial_layers

log = logging.getLogger(__name__)

_PREFILL_TOKENS = 4096
"""Padded prompt tokens per prefill, which bounds its memory; a longer prompt is prefilled alone."""


@dataclass(slots=True)
class _Waiting:
    request: GenerationRequest
    next_index: int = 0

    @property
    def remaining(self) -> int:
        return self.request.samples - self.next_index


class HfEngine:
    name = "hf"

    def __init__(
        self,
        folder: Path,
        *,
        max_running: int,
        max_model_tokens: int,
        dtype: str = "bfloat16",
        device: str | None = None,
        weights: WeightVersion = WeightVersion(0, -1),  # noqa: B008 (frozen)
    ) -> None:
        """Load the model. `device` defaults to the GPU if there is one. Raises OSError or ValueError."""
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), attn_implementation=attention.register()
        )
        self._model: torch.nn.Module = model.to(self._device).eval()
        self._config = model.config
        config = self._config.get_text_config()
        if partial := partial_layers(self._config):
            raise EngineRefusesError(
                f"{folder}: engine hf has no {', '.join(partial)}; use rollout.engine.kind = 'vllm'"
            )
        self._tokenizer = chat.load_tokenizer(folder)
        self._end_tokens = chat.end_tokens(folder, self._tokenizer)
        self._max_running = max_running
        self._max_tokens = min(max_model_tokens, config.max_position_embeddings)
        self._weights = weights
        self._slots = KVSlots(max_running, self._device)
        self._past = as_past(self._slots, config.num_hidden_layers)
        self._waiting: deque[_Waiting] = deque()
        self._rows: list[RunningRow] = []

    @property
    def weights(self) -> WeightVersion:
        return self._weights

    @property
    def running(self) -> int:
        return len(self._rows) + sum(waiting.remaining for waiting in self._waiting)

    def submit(self, request: GenerationRequest) -> None:
        check_request(request, self._max_tokens)
        self._waiting.append(_Waiting(request))

    def step(self) -> list[Generation]:
        with torch.inference_mode():
            finished = []
            while batch := self._take_joins():
                self._prefill(batch)
                finished += self._release_finished()
            if self._rows:
                self._decode_step()
                finished += self._release_finished()
        return finished

    def abort(self, key: str) -> int:
        before = self.running
        self._waiting = deque(waiting for waiting in self._waiting if waiting.request.key != key)
        with torch.inference_mode():  # rows that move are written to the cache
            self._leave([slot for slot, row in enumerate(self._rows) if row.request.key == key])
        return before - self.running

    def load_weights(self, folder: Path, version: WeightVersion) -> None:
        load_in_place(self._model, folder)
        self._weights = version

    def encode_chat(self, messages: tuple[dict[str, str], ...]) -> tuple[int, ...]:
        return chat.encode_chat(self._tokenizer, messages)

    def decode(self, token_ids: tuple[int, ...]) -> str:
        return chat.decode(self._tokenizer, token_ids)

    def close(self) -> None:
        self._waiting.clear()
        self._rows.clear()

    def _take_joins(self) -> list[list[RunningRow]]:
        """Returns the rows to start now, one list per prompt. A request waits until all its samples fit or all slots
        are free, since prefilling a prompt twice costs more than a few idle slots.
        """
        free = self._max_running - len(self._rows)
        joins: list[list[RunningRow]] = []
        longest = 0
        while self._waiting:
            head = self._waiting[0]
            count = min(head.remaining, self._max_running)
            longest = max(longest, len(head.request.prompt_token_ids))
            if count > free or (joins and longest * (len(joins) + 1) > _PREFILL_TOKENS):
                break
            joins.append([start_row(head.request, head.next_index + i) for i in range(count)])
            head.next_index += count
            free -= count
            if not head.remaining:
                self._waiting.popleft()
        return joins

    def _prefill(self, joins: Sequence[list[RunningRow]]) -> None:
        """One left-padded pass over the prompts, then the first token of every sample."""
        prompts = [rows[0].request.prompt_token_ids for rows in joins]
        width = max(map(len, prompts))
        pads = [width - len(prompt) for prompt in prompts]
        ids = torch.tensor([(0,) * pad + prompt for pad, prompt in zip(pads, prompts, strict=True)])
        mask = torch.arange(width)[None] >= torch.tensor(pads)[:, None]
        past = DynamicCache(config=self._config)
        logits = self._forward(ids, mask.long(), (mask.cumsum(-1) - 1).clamp_(min=0), past)
        keys, values = ([getattr(layer, name) for layer in past.layers] for name in ("keys", "values"))
        self._slots.join(keys, values, [len(rows) for rows in joins], [len(prompt) for prompt in prompts])
        source = torch.tensor([i for i, rows in enumerate(joins) for _ in rows], device=self._device)
        started = [row for rows in joins for row in rows]
        self._sample_tokens(started, logits[source])
        self._rows += started

    def _decode_step(self) -> None:
        """Generates one token per row."""
        positions, mask = self._slots.advance()
        ids = torch.tensor([[row.token_ids[-1]] for row in self._rows])
        self._sample_tokens(self._rows, self._forward(ids, mask, positions, self._past))

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, past: Cache) -> torch.Tensor:
        """Returns the logits of the last position, [rows, vocabulary]."""
        output = self._model(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            position_ids=positions.to(self._device),
            past_key_values=past,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _sample_tokens(self, rows: Sequence[RunningRow], logits: torch.Tensor) -> None:
        numbers = uniforms([row.stream for row in rows], [len(row.token_ids) for row in rows])
        temperatures = [row.request.sampling.temperature for row in rows]
        top_ps = [row.request.sampling.top_p for row in rows]
        tokens, logprobs = draw(logits, temperatures, top_ps, numbers)
        for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
            row.append(token, logprob, self._weights, self._end_tokens)

    def _release_finished(self) -> list[Generation]:
        """Take finished rows out of the batch; returns their generations."""
        done = [slot for slot, row in enumerate(self._rows) if row.finish_reason]
        finished = [self._rows[slot].generation() for slot in done]
        self._leave(done)
        return finished

    def _leave(self, slots: Sequence[int]) -> None:
        if slots:
            self._rows = [self._rows[row] for row in self._slots.leave(slots)]
