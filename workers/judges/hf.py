"""The judge on transformers: any causal language model, its YES and NO read off the next token's distribution.

Invariants:
- Requests that share question and reference share the prefix's computation: they stand in one packed row.
- YES is weighed against NO in float32 whatever the weights' type: a bfloat16 logit is rounded to 1/8.
- The version is a hash of the weights with the prompt's version, so a new fit is a new judge.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from workers.judges.base import Judgement, JudgeRequest, JudgeUnavailableError
from workers.judges.content import judge_content, judgement
from workers.judges.prompt import PROMPT_VERSION, PromptForm
from workers.judges.tokens import prefix_groups, verdict_token_ids
from workers.model_files import file_sha256
from workers.shared_prefix import PackedRow, PrefixGroup, attention_mask, pack

log = logging.getLogger(__name__)

ROW_TOKENS = 256
"""Attention in a packed row is dense, so many short rows beat one long one: on one core 32 candidates of 4 questions
take 0.24 s in rows of 256, 0.40 s in rows of 512, 0.71 s as a padded batch of whole prompts."""


class HfJudge:
    name = "genrm-hf"

    def __init__(
        self,
        model_folder: Path,
        dtype: str = "bfloat16",
        threads: int = 1,
        form: PromptForm = PromptForm.SHORT,
        device: str | None = None,
    ) -> None:
        """`threads` of torch; 0 leaves its default. Raises OSError or ValueError where the folder does not load."""
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model_folder)
        model: Any = AutoModelForCausalLM.from_pretrained(
            model_folder, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
        self._model = model.to(self._device).eval()
        self._yes, self._no = verdict_token_ids(self._tokenizer)
        self._limit = int(self._model.config.get_text_config().max_position_embeddings)
        self._form = form
        self.version = f"{weights_hash(model_folder)}-p{PROMPT_VERSION}-{form}-{dtype}"

    def judge(self, requests: Sequence[JudgeRequest]) -> list[Judgement]:
        """Raises JudgeUnavailableError; ValueError where a question has nothing to judge by."""
        return judge_content(requests, self._ask)

    def close(self) -> None:
        self._model = None

    @torch.inference_mode()
    def _ask(self, requests: Sequence[JudgeRequest]) -> list[Judgement]:
        groups, indices = prefix_groups(self._tokenizer, requests, self._form, self._limit)
        found: list[Judgement] = []
        try:
            for row in _rows(groups):
                found.extend(judgement(yes, no) for yes, no in self._masses(pack(row)))
        except JudgeUnavailableError:
            raise
        except (RuntimeError, MemoryError, ZeroDivisionError) as error:  # torch says RuntimeError when memory ends
            raise JudgeUnavailableError(f"judge {self.version}: {type(error).__name__}: {error}") from error
        places = [index for own in indices for index in own]
        return [one for _, one in sorted(zip(places, found, strict=True), key=lambda pair: pair[0])]

    def _masses(self, row: PackedRow) -> list[tuple[float, float]]:
        """P(YES) and P(NO) after each suffix of the row. Raises JudgeUnavailableError where one is no number."""
        hidden = self._model.base_model(
            input_ids=row.input_ids[None].to(self._device),
            position_ids=row.position_ids[None].to(self._device),
            attention_mask=attention_mask(row).to(self._device),
            use_cache=False,
        ).last_hidden_state[0]
        ends = [where.stop - 1 for slices in row.suffix_slices for where in slices]
        masses = self._shares(hidden[ends])
        if not bool(torch.isfinite(masses).all()):
            raise JudgeUnavailableError(f"judge {self.version} computed what is no number; are its weights damaged?")
        return [(yes, no) for yes, no in masses.tolist()]

    def _shares(self, hidden: Tensor) -> Tensor:
        """float32 [N, 2] from the hidden states [N, width]. The few verdict logits are computed again in float32; only
        the normaliser over the vocabulary keeps the weights' type.
        """
        head = self._model.get_output_embeddings()
        verdicts = head.weight[self._yes + self._no].float()
        logits = hidden.float() @ verdicts.T
        if head.bias is not None:
            logits = logits + head.bias[self._yes + self._no].float()
        every = head(hidden).float()
        every[:, self._yes + self._no] = logits
        shares = (logits - every.logsumexp(dim=-1, keepdim=True)).exp()
        count = len(self._yes)
        return torch.stack((shares[:, :count].sum(-1), shares[:, count:].sum(-1)), dim=-1)


def weights_hash(folder: Path) -> str:
    """Over the weight files' names and contents. Raises FileNotFoundError where there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no *.safetensors; save the judge with save_pretrained")
    return hashlib.sha256("".join(f"{file.name}:{file_sha256(file)};" for file in files).encode()).hexdigest()[:12]


def _rows(groups: Sequence[PrefixGroup]) -> Iterator[list[PrefixGroup]]:
    """As many groups a row as ROW_TOKENS hold; a longer group has a row of its own."""
    row: list[PrefixGroup] = []
    for group in groups:
        if row and sum(one.tokens for one in row) + group.tokens > ROW_TOKENS:
            yield row
            row = []
        row.append(group)
    if row:
        yield row
