"""Hidden states and logits of causal language models over packed rows, and the check that they are the model's own.

Invariant: a model that passed `check_model` gives each suffix the log-probs that its own forward pass gives the suffix
after its prefix, to within the tolerance of its type.

A model whose attention takes packed rows computes a prefix once for all its suffixes. Any other model (layers that
carry state, attention of its own) runs each suffix after its prefix in a pass of its own: slower, and right by
construction.

Shapes: L tokens of a row, D hidden, V vocabulary.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from workers.models import packed_attention
from workers.models.packed_attention import RowAttention, UnknownAttentionError
from workers.models.shared_prefix import PackedRow, PrefixGroup, pack

log = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.3, torch.float16: 0.05}
"""Largest difference in nats, by the weights' type, as a mean over the tokens by their probability: the log-probs of
tokens that are never sampled are mostly rounding in bfloat16. Rounding gives 1e-5 in float32. In bfloat16 it gives 0.09
to 0.14 with SmolLM2-135M and models fine-tuned from it, whose single log-probs differ by up to 1.2."""
_WINDOW = 4
"""Sliding windows are narrowed to this many tokens for the check, so that short texts exceed them."""
_PACKABLE_LAYERS = {"full_attention", "sliding_attention"}
"""Layer types that see other tokens through attention alone. Others carry state from token to token (convolutions,
linear attention), or attend in chunks."""


class ModelMismatchError(ValueError):
    """The log-probs that rows give are not those of the model's own forward pass; the text says by how much."""


def row_states(model: Any, row: PackedRow) -> Tensor:
    """Last hidden states [L, D]. The row is on the model's device."""
    if is_packable(model):
        return _packed_states(model, row, RowAttention(row.blocks, row.input_ids.device))
    return _separate_states(model, row)


def is_packable(model: Any) -> bool:
    """Whether the model runs packed rows in one pass."""
    return bool(model.config._attn_implementation == packed_attention.NAME)  # noqa: SLF001 (transformers has no other)


def output_head(model: Any) -> Callable[[Tensor], Tensor]:
    """The function from hidden states to the logits that the model samples from."""
    head, finish = model.get_output_embeddings(), logit_transform(model.config)
    return lambda states: finish(head(states))


def logit_transform(config: Any) -> Callable[[Tensor], Tensor]:
    """What a causal language model does to the logits of its output embeddings: Granite divides them, Cohere and
    Falcon-H1 multiply them, Gemma 2 caps them.
    """
    scale = 1.0
    for name in ("logit_scale", "lm_head_multiplier"):
        scale *= _number(config, name) or 1.0
    scale /= _number(config, "logits_scaling") or 1.0
    cap = _number(config, "final_logit_softcapping")

    def transform(logits: Tensor) -> Tensor:
        if scale != 1.0:
            logits = logits * scale
        return logits if cap is None else cap * torch.tanh(logits / cap)

    return transform


def check_model(model: Any, inside: Callable[[Callable[[], float]], float] = lambda compute: compute()) -> None:
    """Compares two packed groups with the model's own forward pass. A model that cannot run packed rows is set to
    separate passes. Raises ModelMismatchError if its log-probs differ in both ways.

    `inside` calls a function where the model's weights are whole, if they are not so everywhere.
    """
    why = _why_not_packable(model)
    if why is None and is_packable(model):
        try:
            difference = inside(partial(_difference, model))
        except UnknownAttentionError as error:
            why = str(error)
        else:
            if difference <= _tolerance(model):
                return
            why = f"packed rows differ from its own forward pass by {difference:.2g} nats"
    log.warning("%s: %s; each response runs in a pass of its own", type(model).__name__, why or "no packed attention")
    if is_packable(model):
        model.set_attn_implementation(_own_attention(model))
    difference = inside(partial(_difference, model))
    if not difference <= _tolerance(model):
        raise ModelMismatchError(
            f"{type(model).__name__}: log-probs from its hidden states and output embeddings differ by "
            f"{difference:.2g} nats from those of its own forward pass (tolerance {_tolerance(model):g}), so it would "
            "be trained on another distribution than the one it samples from: the model changes its logits in a way "
            "that is not known here"
        )


def _packed_states(model: Any, row: PackedRow, attention: RowAttention) -> Tensor:
    states: Tensor = _body(model)(
        input_ids=row.input_ids[None],
        position_ids=row.position_ids[None],
        # A mask of four dimensions is passed on as it is, so that transformers makes none; blocks make their own.
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=row.input_ids.device),
        packed_row=attention,
        use_cache=False,
    ).last_hidden_state[0]
    return states


def _separate_states(model: Any, row: PackedRow) -> Tensor:
    body = _body(model)
    parts: list[Tensor] = []
    for prefix, suffixes in zip(row.prefix_slices, row.suffix_slices, strict=True):
        before = row.input_ids[prefix]
        passes = [
            body(input_ids=torch.cat([before, row.input_ids[suffix]])[None], use_cache=False).last_hidden_state[0]
            for suffix in suffixes or [slice(0, 0)]
        ]
        parts += [passes[0][: len(before)], *(states[len(before) :] for states in passes)]
    return torch.cat(parts)


def _body(model: Any) -> Any:
    """The model without its output embeddings. Llama 4's language model does not name its own."""
    body = model.base_model
    return model.model if body is model and model.get_output_embeddings() is not None else body


def _why_not_packable(model: Any) -> str | None:
    config = model.config.get_text_config()
    others = sorted(set(getattr(config, "layer_types", None) or ()) - _PACKABLE_LAYERS)
    return f"its layers are of types {', '.join(others)}" if others else None


def _own_attention(model: Any) -> str:
    return "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"


def _tolerance(model: Any) -> float:
    return TOLERANCE[next(model.parameters()).dtype]


@torch.no_grad()
def _difference(model: Any) -> float:
    """Largest difference at a position, in nats, between log-probs over packed groups and those of the model's own
    forward pass. A model without output embeddings is compared by its normalised hidden states.
    """
    groups = _drawn_groups(model.config.get_text_config().vocab_size)
    row = pack(groups).to(next(model.parameters()).device)
    with _narrow_windows(model):
        states = row_states(model, row)
        found = [
            _readout(model, states[[last, *range(*suffix.indices(len(states)))]])
            for slices, last in zip(row.suffix_slices, row.prefix_last, strict=True)
            for suffix in slices
        ]
        with _own_implementation(model):
            expected = [
                _own_readout(model, torch.tensor([*group.prefix, *suffix], device=states.device), len(group.prefix))
                for group in groups
                for suffix in group.suffixes
            ]
    return max(_mean_difference(model, a, b) for a, b in zip(found, expected, strict=True))


def _mean_difference(model: Any, found: Tensor, expected: Tensor) -> float:
    difference = (found - expected).abs()
    if model.get_output_embeddings() is None:
        return float(difference.max())
    return float((expected.exp() * difference).sum(-1).max())


def _drawn_groups(vocabulary: int) -> Sequence[PrefixGroup]:
    draw = torch.Generator().manual_seed(0)

    def ids(count: int) -> list[int]:
        return torch.randint(0, vocabulary, (count,), generator=draw).tolist()

    return [PrefixGroup(ids(6), [ids(9), ids(3)]), PrefixGroup(ids(3), [ids(7)])]


def _own_readout(model: Any, ids: Tensor, prefix: int) -> Tensor:
    """What `_readout` gives for the model's own pass over the tokens, from the prefix's last position on."""
    if model.get_output_embeddings() is None:
        return _readout(model, model(input_ids=ids[None], use_cache=False).last_hidden_state[0, prefix - 1 :])
    logits = model(input_ids=ids[None], use_cache=False).logits[0, prefix - 1 :]
    return torch.log_softmax(logits.float(), -1)


def _readout(model: Any, states: Tensor) -> Tensor:
    if model.get_output_embeddings() is None:
        return torch.nn.functional.normalize(states.float(), dim=-1)
    return torch.log_softmax(output_head(model)(states).float(), -1)


@contextmanager
def _own_implementation(model: Any) -> Iterator[None]:
    """The model's attention as its authors wrote it. Transformers' sdpa leaves out capped scores."""
    former = model.config._attn_implementation  # noqa: SLF001 (transformers has no other)
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(former)


@contextmanager
def _narrow_windows(model: Any) -> Iterator[None]:
    owners = [model.config.get_text_config(), *model.modules()]
    former = [(owner, owner.sliding_window) for owner in owners if isinstance(_attribute(owner), int)]
    for owner, _ in former:
        owner.sliding_window = _WINDOW
    try:
        yield
    finally:
        for owner, window in former:
            owner.sliding_window = window


def _attribute(owner: Any) -> Any:
    return getattr(owner, "sliding_window", None)


def _number(config: Any, name: str) -> float | None:
    value = getattr(config, name, None)
    return None if value is None else float(value)
