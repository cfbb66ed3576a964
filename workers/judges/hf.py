"""The judge's model on transformers: any causal language model; the next token's distribution is its verdict.

Invariants:
- Prompts that share their prefix share its computation: they are packed into one row.
- Verdict probabilities are computed in float32 whatever the weights' type: a bfloat16 logit is rounded to 1/8.
- The version is a hash of the weights with the prompt's version, so a new fit is a new judge.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from workers.judges.base import JudgeFailure
from workers.judges.judging_scheme import JudgingScheme, Voting
from workers.judges.prompt import JudgePrompt
from workers.judges.tokens import prefix_groups, scale_token_ids
from workers.judges.verdicts import Scale, VerdictProbabilities
from workers.models import packed_attention
from workers.models.model_files import file_sha256
from workers.models.packed_model import check_model, logit_transform, row_states
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack

ROW_TOKENS = 256
"""Bounds the activations of a pass. On one core, 32 candidates of 4 questions take 0.24 s in rows of 256, and 0.71 s as
a padded batch of whole prompts."""


class HfModel:
    """Implements workers.judges.model.VerdictModel."""

    name = "genrm-hf"

    def __init__(
        self, folder: Path, scheme: JudgingScheme, dtype: str = "bfloat16", threads: int = 1, device: str | None = None
    ) -> None:
        """`threads`: torch's number of threads; 0 keeps its default. Raises OSError or ValueError if the folder does
        not load, ModelMismatchError if rows would give other verdicts than the model's own forward pass, and ValueError
        if its tokenizer has no single token for one of the scheme's verdict words.
        """
        if threads:
            torch.set_num_threads(threads)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), attn_implementation=packed_attention.implementation(folder)
        )
        self._model = model.to(self._device).eval()
        check_model(self._model)
        self._words = {scale: scale_token_ids(self._tokenizer, scale) for scale in scheme.scales}
        self._limit = int(self._model.config.get_text_config().max_position_embeddings)
        self._weights = weights_hash(folder)
        self._dtype = dtype

    def version(self, tag: str) -> str:
        return version_of(self._weights, tag, self._dtype)

    def read(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None
    ) -> list[VerdictProbabilities | JudgeFailure]:
        """Computes the prompts of one scale together."""
        found: dict[int, VerdictProbabilities | JudgeFailure] = {}
        for scale in dict.fromkeys(prompt.scale for prompt in prompts):
            places = [place for place, prompt in enumerate(prompts) if prompt.scale == scale]
            own = self._read_scale([prompts[place] for place in places], scale, max_field_chars)
            found |= dict(zip(places, own, strict=True))
        return [found[place] for place in range(len(prompts))]

    def vote(
        self, prompts: Sequence[JudgePrompt], max_field_chars: int | None, voting: Voting
    ) -> list[VerdictProbabilities | JudgeFailure]:
        raise NotImplementedError("the hf judge reads a distribution; votes need genrm.backend = 'openai'")

    def prefix_hit_rate(self) -> float | None:
        return None

    def close(self) -> None:
        self._model = None

    @torch.inference_mode()
    def _read_scale(
        self, prompts: Sequence[JudgePrompt], scale: Scale, max_field_chars: int | None
    ) -> list[VerdictProbabilities | JudgeFailure]:
        groups, indices = prefix_groups(self._tokenizer, prompts, max_field_chars, self._limit)
        rows = fill([group.tokens for group in groups], ROW_TOKENS)
        found = [one for row in rows for one in self._read_row([groups[index] for index in row], scale)]
        places = [index for own in indices for index in own]
        return [one for _, one in sorted(zip(places, found, strict=True), key=lambda pair: pair[0])]

    def _read_row(self, row: Sequence[PrefixGroup], scale: Scale) -> list[VerdictProbabilities | JudgeFailure]:
        try:
            masses = self._compute_masses(pack(row).to(self._device), scale)
        except (RuntimeError, MemoryError) as error:  # torch raises RuntimeError if memory runs out
            failure = JudgeFailure(f"judge {self._weights}: {type(error).__name__}: {error}", outage=True)
            return [failure] * sum(len(group.suffixes) for group in row)
        readings = [VerdictProbabilities(scale, tuple(own)) for own in masses]
        return [one if one.usable else self._fail_unusable(one) for one in readings]

    def _fail_unusable(self, reading: VerdictProbabilities) -> JudgeFailure:
        return JudgeFailure(f"judge {self._weights}: {reading} is not a distribution; are its weights damaged?")

    def _compute_masses(self, row: PackedRow, scale: Scale) -> list[list[float]]:
        """Returns the masses after each suffix of the row, as [suffix][word]."""
        hidden = row_states(self._model, row)
        ends = [where.stop - 1 for slices in row.suffix_slices for where in slices]
        masses: list[list[float]] = self._sum_word_probabilities(hidden[ends], self._words[scale]).tolist()
        return masses

    def _sum_word_probabilities(self, hidden: Tensor, words: list[list[int]]) -> Tensor:
        """Returns probabilities, float32 [N, words], from the hidden states [N, width]. The few verdict logits are
        recomputed in float32; only the normaliser over the vocabulary keeps the weights' type.
        """
        flat = [number for own in words for number in own]
        head = self._model.get_output_embeddings()
        verdicts = head.weight[flat].float()
        logits = hidden.float() @ verdicts.T
        if head.bias is not None:
            logits = logits + head.bias[flat].float()
        finish = logit_transform(self._model.config)
        logits = finish(logits)
        every: Tensor = finish(head(hidden).float())
        every[:, flat] = logits
        shares = (logits - every.logsumexp(dim=-1, keepdim=True)).exp()
        return torch.stack([part.sum(-1) for part in torch.split(shares, [len(own) for own in words], dim=-1)], dim=-1)


def version_of(weights: str, tag: str, dtype: str) -> str:
    """The version of a judge whose weights have this hash."""
    return f"{weights}-{tag}-{dtype}"


def weights_hash(folder: Path) -> str:
    """Hashes the weight files' names and contents. Raises FileNotFoundError if there are none."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no *.safetensors; save the judge with save_pretrained")
    return hashlib.sha256("".join(f"{file.name}:{file_sha256(file)};" for file in files).encode()).hexdigest()[:12]
