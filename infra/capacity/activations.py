"""Bytes that a forward pass of the learner keeps for its backward pass, per token of a packed row.

The terms are those of a decoder layer as transformers writes it, counted as Korthikanti et al. count theirs
(2205.05198, section 4.1), but without dropout and with attention that never keeps its weights: residual stream and
norms in float32, matrix products in the type `product`, attention in the type that its kernel takes.

Invariant: every figure is linear in the row's tokens. A mask is kept only up to the size that
`workers.models.packed_attention` allows, and what that runs in chunks is computed again.
"""

from dataclasses import dataclass

from infra.capacity.model_shape import ModelShape

_MASK_ELEMENTS = 1 << 20
_SCORE_ELEMENTS = 1 << 24
_CAUSAL_WASTE = 3
_BLOCK_TOKENS = 256
"""The four limits of workers.models.packed_attention and shared_prefix; a test holds them equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTypes:
    """Bytes of one number."""

    weight: int
    """A weight: 4, or 2 with learner.param_dtype = 'bfloat16'."""
    product: int
    """An input or output of a matrix product: 2 with learner.autocast or bfloat16 weights, else 4."""
    attention: int
    """A query, key or value inside attention: 4 on a CPU, `product` on a GPU."""


@dataclass(frozen=True, slots=True)
class GroupTokens:
    """Tokens of a group in one row: its prompt, and `responses` of the same length after it."""

    prompt: int
    response: int
    responses: int = 1

    @property
    def total(self) -> int:
        return self.prompt + self.responses * self.response

    def blocks(self) -> list[int]:
        """Tokens of each attention block after the prompt's: short responses share one."""
        together = max(1, _BLOCK_TOKENS // self.response)
        full, rest = divmod(self.responses, together)
        return [together * self.response] * full + [rest * self.response] * (rest > 0)


def kept_per_token(shape: ModelShape, types: NumberTypes, group: GroupTokens) -> float:
    """Bytes per token and layer without recomputation, for a row of such groups."""
    D, A, B = shape.hidden, shape.query_width, shape.key_width
    norms = shape.layer_norms * D * (4 + types.weight)  # its input in float32, and the normalised states
    # One input for attention and one for the feed-forward part; autocast copies them for each of q, k, v, gate and up.
    inputs = (2 if types.product == types.weight else 5) * D * types.product
    queries = (A + B) * (4 + types.product) if shape.norms_queries else 0
    feed_forward = 4 * shape.feed_forward * types.product  # gate, its activation, up, and their product
    return norms + inputs + queries + feed_forward + _attention(shape, types, group)


def inputs_per_token(shape: ModelShape, types: NumberTypes) -> int:
    """Bytes per token and layer with gradient checkpointing: the layer's input (1604.06174)."""
    return shape.hidden * types.weight


def outer_per_token(shape: ModelShape, types: NumberTypes, targets_share: float) -> float:
    """Bytes per token outside of the layers: the last norm, the states at the targets, rotations and indices."""
    D = shape.hidden
    states = D * types.weight * targets_share
    rotations = 2 * types.weight * shape.query_width // shape.heads
    return D * (4 + types.weight) + states + rotations + 40 * targets_share


def logit_bytes(shape: ModelShape, types: NumberTypes, targets: int, chunk: int) -> int:
    """Bytes of the logits that exist at a time, and of their gradient. `chunk` is learner.logits_chunk_tokens."""
    tokens = min(targets, chunk) if chunk else targets
    return 2 * tokens * shape.vocabulary * types.product


def _attention(shape: ModelShape, types: NumberTypes, group: GroupTokens) -> float:
    """Bytes per token: query, key and value of the whole row, and what each block adds."""
    a, A, B = types.attention, shape.query_width, shape.key_width
    first = _block(shape, a, 0, group.prompt) if shape.writes_scores else a * group.prompt * A
    blocks = first + sum(_block(shape, a, group.prompt, tokens) for tokens in group.blocks())
    return a * (A + 2 * B) + A * types.product + blocks / group.total


def _block(shape: ModelShape, a: int, prompt: int, tokens: int) -> float:
    """Bytes that a block after the prompt adds: its output, its keys and values with the prompt's before them, and its
    mask or scores. A block whose mask would be too large runs causally with the prompt's queries, or in chunks that
    keep nothing.
    """
    A, B, keys = shape.query_width, shape.key_width, prompt + tokens
    if shape.writes_scores:
        fits = tokens * keys <= min(_SCORE_ELEMENTS // shape.heads, _MASK_ELEMENTS)
        return 2.0 * 4 * shape.heads * tokens * keys + a * (2 * B * keys + A * tokens) if fits else 0.0
    if tokens * keys <= _MASK_ELEMENTS:
        return a * (2 * B * keys + A * tokens + tokens * keys) + 4 * shape.heads * tokens
    if prompt <= _CAUSAL_WASTE * tokens:
        return a * (2 * A + 2 * B) * keys + 4 * shape.heads * keys
    return 0.0
