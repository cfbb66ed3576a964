"""Floating-point operations that a training step cannot do without, and what a card can do of them in a second.

Invariant: what is computed twice, as recomputed activations or proximal log-probabilities, counts once (model FLOPs
utilisation, PaLM 2204.02311, appendix B).

Shapes: L tokens of a row, N targets, D hidden, V vocabulary, H query heads, K key-value heads, W width of a head.
"""

from collections.abc import Iterable
from typing import Any

from trainer.step.batch import TrainingRow

PEAKS = {
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA A100": 312e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA L4": 121e12,
}
"""Dense bfloat16 FLOP/s by torch's name of a card, from NVIDIA's data sheets: "H200 Tensor Core GPU", "H100 Tensor Core
GPU", "A100 80GB PCIe", "L40S" and "L4". Where those give a number with sparsity alone, half of it."""


def peak_of(card: str) -> float | None:
    """FLOP/s; None for a card that is not known, or a part of one (MIG)."""
    found = [name for name in PEAKS if card == name or card.startswith((f"{name} ", f"{name}-"))]
    return PEAKS[max(found, key=len)] if found and "MIG" not in card else None


def training_flops(config: Any, rows: Iterable[TrainingRow]) -> int:
    """Forward and backward pass of a Llama-like model: two operations a weight and token in the forward pass, twice as
    many in the backward pass (Kaplan et al. 2001.08361, section 2.1). Attention counts the pairs of each block, masked
    ones too, as PaLM counts its squares; the output head, the N targets; embeddings, norms and rotations, nothing.
    """
    return sum(3 * _forward_flops(config, row) for row in rows)


def _forward_flops(config: Any, row: TrainingRow) -> int:
    hidden, heads = config.hidden_size, config.num_attention_heads
    width = getattr(config, "head_dim", None) or hidden // heads
    attention = 2 * hidden * width * (heads + config.num_key_value_heads)  # query and output, key and value
    weights = config.num_hidden_layers * (attention + 3 * hidden * config.intermediate_size)
    pairs = sum(block.tokens * block.keys for block in row.packed.blocks)
    scores_and_sums = config.num_hidden_layers * 2 * heads * width * pairs
    return 2 * (len(row.packed.input_ids) * weights + scores_and_sums + len(row.targets_N) * hidden * config.vocab_size)
