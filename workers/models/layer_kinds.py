"""Which layers of a model an engine cannot run, from its configuration alone."""

from typing import Any


def partial_layers(config: Any) -> list[str]:
    """Kinds of layers that do not attend to the whole context, which engine hf has no cache for."""
    return sorted(set(getattr(config.get_text_config(), "layer_types", None) or ()) - {"full_attention"})
