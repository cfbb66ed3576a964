"""A Bradley-Terry reward model: a decoder with a scalar head, read at the last token of a response.

Invariant: a reward is the logit that transformers' own sequence classifier gives the same conversation: the one at the
last token that is not the padding token. Responses to one prompt share its computation
(`workers.models.shared_prefix`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from workers.judges.hf import weights_hash
from workers.judges.sanitize import clean
from workers.models import packed_attention
from workers.models.chat import Message, encode_answer, encode_chat, load_tokenizer
from workers.models.packed_model import check_model, row_states
from workers.models.shared_prefix import PackedRow, PrefixGroup, fill, pack

ROW_TOKENS = 1024
"""Token budget of a packed row, as in SFT. A longer conversation gets a row of its own."""
_CLASSIFIER = "ForSequenceClassification"


class RewardModelError(ValueError):
    """The folder is not, and cannot become, a reward model; the text says why."""


@dataclass(frozen=True, slots=True)
class Responses:
    """Responses to one prompt."""

    messages: Sequence[Message]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class RewardModel:
    model: Any
    tokenizer: Any
    version: str = ""
    """Hash of its weight files; empty if it was not loaded from a folder."""

    name = "bt"

    @classmethod
    def load(cls, folder: Path, *, dtype: str = "bfloat16", device: str | None = None) -> "RewardModel":
        """Loads a reward model in eval mode. `device` defaults to the GPU if there is one.

        Raises RewardModelError, and OSError or ValueError if it does not load.
        """
        require_reward_model(folder)
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = load_classifier(folder, getattr(torch, dtype)).to(place).eval()
        return cls(model, prepare_tokenizer(folder, model), weights_hash(folder))

    @property
    def max_tokens(self) -> int:
        return int(self.model.config.get_text_config().max_position_embeddings)

    @torch.inference_mode()
    def rewards(self, groups: Sequence[Responses]) -> list[list[float]]:
        """Rewards as [group][response]. A conversation that is too long for the model loses its beginning."""
        encoded = [self.encode(group.messages, group.texts) for group in groups]
        found: list[list[float]] = [[] for _ in groups]
        for group, rewards in self._rewards(self._in_parts(encoded)):
            found[group] += rewards
        return found

    def encode(self, messages: Sequence[Message], texts: Sequence[str]) -> PrefixGroup:
        """The tokens up to the one at which each reward is read. Role tokens in a response are removed, since it would
        end its own turn with them.
        """
        prefix = encode_chat(self.tokenizer, messages)
        pad = self.model.config.get_text_config().pad_token_id
        suffixes = []
        for text in texts:
            suffix = list(encode_answer(self.tokenizer, clean(text)))
            while suffix and suffix[-1] == pad:
                suffix.pop()
            suffixes.append(suffix)
        return PrefixGroup(prefix, suffixes)

    def _in_parts(self, encoded: Sequence[PrefixGroup]) -> Iterator[tuple[int, PrefixGroup]]:
        """Cuts to the model's context, and gives a response that would not fit in a row with the others its own."""
        for number, group in enumerate(encoded):
            whole = all(len(group.prefix) + len(suffix) <= self.max_tokens for suffix in group.suffixes)
            if whole and group.tokens <= ROW_TOKENS:
                yield number, group
                continue
            for suffix in group.suffixes:
                kept = list(suffix)[-(self.max_tokens - 1) :]
                yield number, PrefixGroup(list(group.prefix)[-(self.max_tokens - len(kept)) :], [kept])

    def _rewards(self, parts: Iterator[tuple[int, PrefixGroup]]) -> Iterator[tuple[int, list[float]]]:
        numbered = list(parts)
        for row in fill([group.tokens for _, group in numbered], ROW_TOKENS):
            packed = pack([numbered[index][1] for index in row])
            rewards = iter(rewards_at(self.model, packed, reward_positions(packed)).tolist())
            for index in row:
                number, group = numbered[index]
                yield number, [next(rewards) for _ in group.suffixes]


def require_reward_model(folder: Path) -> None:
    """Raises RewardModelError, and OSError or ValueError if the folder describes no model."""
    if not is_reward_model(folder):
        raise RewardModelError(
            f"{folder} is not a reward model: its config.json names no {_CLASSIFIER} class with one label; train one "
            "with `rewardstream rm train-bt`"
        )


def is_reward_model(folder: Path) -> bool:
    """Whether the folder holds a sequence classifier with one label. Raises OSError or ValueError."""
    config = AutoConfig.from_pretrained(folder)
    named = any(name.endswith(_CLASSIFIER) for name in config.architectures or ())
    return named and config.num_labels == 1


def load_classifier(folder: Path, dtype: torch.dtype) -> Any:
    """A sequence classifier with one label, whose head is new if the folder is a language model's.

    Raises RewardModelError if the model is not a decoder or its classifier has several labels, and OSError or
    ValueError if it does not load.
    """
    config = AutoConfig.from_pretrained(folder)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise RewardModelError(
            f"{folder}: {config.model_type} is not a decoder of transformers; a reward is read at the last token, and "
            "only a decoder's last token has seen the whole response"
        )
    classifies = any(name.endswith(_CLASSIFIER) for name in config.architectures or ())
    if classifies and config.num_labels != 1:
        raise RewardModelError(f"{folder} is a classifier of {config.num_labels} labels; a reward model has one")
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise RewardModelError(f"{folder}: transformers has no sequence classifier for {config.model_type}")
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, dtype=dtype, attn_implementation=packed_attention.implementation(folder)
    )
    if not isinstance(getattr(model, "score", None), nn.Linear):
        raise RewardModelError(
            f"{folder}: {type(model).__name__} has no linear head `score` over its last token, as decoders have; a "
            "reward model starts from a decoder"
        )
    check_model(model.base_model)
    return model


def prepare_tokenizer(folder: Path, model: Any) -> Any:
    """The folder's tokenizer; it and the model get a padding token if they have none, which is the end token."""
    tokenizer = load_tokenizer(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = model.config.get_text_config()
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def reward_positions(row: PackedRow) -> list[int]:
    """Position of the last token of each response; of its prompt if the response is empty."""
    return [
        where.stop - 1 if where.stop > where.start else last
        for slices, last in zip(row.suffix_slices, row.prefix_last, strict=True)
        for where in slices
    ]


def rewards_at(model: Any, row: PackedRow, positions: Sequence[int]) -> Tensor:
    """Rewards [N] at the positions, float32, on the model's device."""
    device = model.score.weight.device
    states = row_states(model.base_model, row.to(device))[torch.tensor(positions, device=device)].float()
    head = model.score
    with torch.autocast(states.device.type, enabled=False):
        rewards: Tensor = (states @ head.weight.float().T)[:, 0]
    return rewards if head.bias is None else rewards + head.bias.float()
