"""Adapters taken from fits: the same weights again, up to bfloat16's rounding of what the fit changed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_model import save_tiny_model

from infra.demo.adapters import AdapterError, apply_adapter, extract_adapter
from infra.files.folders import copy_description
from workers.models.model_files import ADAPTER_FILE, WEIGHTS_FILE

RANK = 2


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "base", seed=1)


def fitted(base: Path, folder: Path, rank: int, *, part: str = ".layers.") -> Path:
    """The base model with a change of this rank in each matrix whose name contains `part`."""
    copy_description(base, folder)
    draw = torch.Generator().manual_seed(3)
    weights = load_file(base / WEIGHTS_FILE)
    for name, tensor in weights.items():
        if part in name and tensor.ndim == 2:
            left, right = (torch.randn(size, rank, generator=draw) for size in tensor.shape)
            weights[name] = tensor + 0.01 * left @ right.T
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def empty(path: Path) -> Path:
    path.mkdir()
    return path


def test_an_adapter_makes_the_fitted_model_again(base: Path, tmp_path: Path) -> None:
    model = fitted(base, empty(tmp_path / "fitted"), RANK)
    extract_adapter(base, model, RANK, empty(tmp_path / "adapter"))
    apply_adapter(base, tmp_path / "adapter", empty(tmp_path / "again"))
    before, after, again = (load_file(folder / WEIGHTS_FILE) for folder in (base, model, tmp_path / "again"))
    assert after.keys() == again.keys()
    changed = [name for name in after if not torch.equal(before[name], after[name])]
    assert changed
    for name in changed:
        difference, change = (float((after[name] - other).norm()) for other in (again[name], before[name]))
        assert difference < 0.01 * change, name
    assert all(torch.equal(before[name], again[name]) for name in after.keys() - set(changed))
    assert {path.name for path in base.iterdir()} == {path.name for path in (tmp_path / "again").iterdir()}


@pytest.mark.parametrize("part", [".layers.", ".layers.1."], ids=["all layers", "upper layer"])
def test_the_adapter_is_one_that_engines_load(base: Path, tmp_path: Path, part: str) -> None:
    from trainer.step.language_models import load_causal_lm
    from workers.engines.adapters import load_adapter_in_place

    model = fitted(base, empty(tmp_path / "fitted"), RANK, part=part)
    extract_adapter(base, model, RANK, empty(tmp_path / "adapter"))
    apply_adapter(base, tmp_path / "adapter", empty(tmp_path / "again"))
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        adapted = load_causal_lm(base)
        load_adapter_in_place(adapted, tmp_path / "adapter")
        merged = load_causal_lm(tmp_path / "again")
        torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("rank", "part", "message"),
    [(RANK + 1, ".layers.", "has a rank above 2"), (RANK, "embed_tokens", r"embed_tokens.* is no matrix of a layer")],
)
def test_a_fit_that_is_no_adapter_is_refused(base: Path, tmp_path: Path, rank: int, part: str, message: str) -> None:
    model = fitted(base, empty(tmp_path / "fitted"), rank, part=part)
    with pytest.raises(AdapterError, match=message):
        extract_adapter(base, model, RANK, empty(tmp_path / "adapter"))
    assert not (tmp_path / "adapter" / ADAPTER_FILE).exists()


def test_an_adapter_of_another_model_is_refused(base: Path, tmp_path: Path) -> None:
    folder = empty(tmp_path / "adapter")
    save_file(
        {f"base_model.model.model.other.lora_{side}.weight": torch.zeros(2, 2) for side in "AB"}, folder / ADAPTER_FILE
    )
    with pytest.raises(AdapterError, match=r"changes model\.other\.weight, which"):
        apply_adapter(base, folder, empty(tmp_path / "again"))
