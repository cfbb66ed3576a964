"""The sizes of a model, from its configuration alone: parameter counts and the widths that activations depend on.

Invariant: parameters are counted on the model that transformers builds for the configuration, on the meta device, so
the counts are exact for every family and no weight is allocated.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ModelConfigError(ValueError):
    """There is no configuration of a causal language model; the text names the path and what to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of one causal language model. Tied parameters count once."""

    family: str
    parameters: int
    layer_parameters: int
    """Parameters of the largest layer."""
    outer_parameters: int
    """Parameters outside of the layers: embeddings, last norm, output head."""
    matrix_parameters: int
    """Parameters of the layers' matrices, all experts included."""
    active_parameters: int
    """Those of them that one token is multiplied with: all, or the chosen experts and what every token uses."""
    linear_widths: Mapping[str, int]
    """Sum of inputs and outputs over the layers' linear modules, by the module's name. An adapter of rank R has R times
    that many parameters (2106.09685)."""
    head_parameters: int
    """Parameters of the output head that it does not share with the embeddings; 0 if it shares them."""
    layers: int
    hidden: int
    feed_forward: int
    """Width of the feed-forward product of one token: of its experts together if they are experts."""
    heads: int
    query_width: int
    """Heads times the width of a head."""
    key_width: int
    """Key-value heads times the width of a head."""
    vocabulary: int
    layer_norms: int
    """Norms of a layer over the hidden states."""
    norms_queries: bool
    """Whether queries and keys are normalised (Qwen3, OLMo 2)."""
    writes_scores: bool
    """Whether attention writes its scores out, because they are capped or have a sink (Gemma 2, gpt-oss)."""
    longest: int
    """Most tokens that its positions allow; 0 if the configuration does not say."""


def shape_of(path: Path) -> ModelShape:
    """`path` is a model's folder or its config.json. Raises ModelConfigError."""
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise ModelConfigError(
            f"--model {path}: {file} does not exist; give a folder with a model's config.json, or such a file"
        )
    from transformers import AutoConfig

    try:
        return shape_of_config(AutoConfig.from_pretrained(file))
    except (OSError, ValueError, KeyError) as error:
        raise ModelConfigError(f"--model {path}: not a causal language model of transformers: {error}") from error


def shape_of_config(config: Any) -> ModelShape:
    """Raises ValueError if transformers has no causal language model for the configuration."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # transformers'
    text = config.get_text_config()
    layers = _layers(model)
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    matrices = [p for layer in layers for p in layer.parameters() if p.dim() > 1]
    matrix_parameters = sum(p.numel() for p in matrices)
    expert_parameters = sum(
        p.numel() for layer in layers for name, p in layer.named_parameters() if ".experts." in name
    )
    chosen, experts = _experts(text)
    widths: Counter[str] = Counter()
    for name, module in (named for layer in layers for named in layer.named_modules()):
        if isinstance(module, torch.nn.Linear):
            widths[name.rpartition(".")[2]] += module.in_features + module.out_features
    total = sum(parameter.numel() for parameter in model.parameters())
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    names = [name for name, _ in layers[0].named_parameters()]
    wide = [
        name
        for name, p in layers[0].named_parameters()
        if p.dim() == 1 and "norm" in name and len(p) == text.hidden_size
    ]
    norms_queries = any("q_norm" in name or "q_layernorm" in name for name in names)
    return ModelShape(
        family=config.model_type,
        parameters=total,
        layer_parameters=max(sizes),
        outer_parameters=total - sum(sizes),
        matrix_parameters=matrix_parameters,
        active_parameters=matrix_parameters - expert_parameters + expert_parameters * chosen // experts,
        linear_widths=dict(widths),
        head_parameters=0 if config.tie_word_embeddings else _numel(model.get_output_embeddings()),
        layers=len(layers),
        hidden=text.hidden_size,
        feed_forward=_feed_forward(text, chosen),
        heads=text.num_attention_heads,
        query_width=text.num_attention_heads * width,
        key_width=(getattr(text, "num_key_value_heads", None) or text.num_attention_heads) * width,
        vocabulary=text.vocab_size,
        layer_norms=len([name for name in wide if "q_norm" not in name and "k_norm" not in name]),
        norms_queries=norms_queries,
        writes_scores=getattr(text, "attn_logit_softcapping", None) is not None or any("sinks" in n for n in names),
        longest=getattr(text, "max_position_embeddings", None) or 0,
    )


def _layers(model: Any) -> list[Any]:
    """Raises ValueError if the model names no repeated layers."""
    from trainer.step.layers import layers_of

    found = layers_of(model)
    if not found:
        raise ValueError(f"{type(model).__name__} names no layers (_no_split_modules)")
    return found


def _experts(text: Any) -> tuple[int, int]:
    """Experts that a token uses, and experts of a layer; 1 and 1 without experts."""
    count = _first(text, "num_experts", "num_local_experts", "n_routed_experts")
    return (int(_first(text, "num_experts_per_tok", "top_k")), int(count)) if count else (1, 1)


def _feed_forward(text: Any, chosen: int) -> int:
    own = getattr(text, "moe_intermediate_size", None)
    if own:
        shared = getattr(text, "shared_expert_intermediate_size", None) or own * (
            getattr(text, "n_shared_experts", 0) or 0
        )
        return int(own) * chosen + int(shared)
    return int(_first(text, "intermediate_size", "block_ff_dim", "ffn_hidden_size")) * chosen


def _first(text: Any, *names: str) -> int:
    """The first of these attributes that the configuration has; 0 if it has none."""
    found: Mapping[str, Any] = {name: getattr(text, name, None) for name in names}
    return next((int(value) for value in found.values() if value), 0)


def _numel(module: Any) -> int:
    return sum(int(parameter.numel()) for parameter in module.parameters())


def value_trunk_parameters(shape: ModelShape) -> int:
    """Parameters of a value model whose trunk has this shape: without an output head, and a scalar head instead."""
    return shape.parameters - shape.head_parameters + shape.hidden + 1


def adapter_parameters(shape: ModelShape, rank: int, modules: Sequence[str] = ()) -> int:
    """Parameters of an adapter on the linear modules of these names, or on all of the layers'."""
    return rank * sum(width for name, width in shape.linear_widths.items() if not modules or name in modules)
