"""The demo's model passes the check of its forward pass in the type in which engines and judges run it."""

from pathlib import Path

import pytest
import torch

from trainer.step.language_models import load_causal_lm
from workers.models.packed_model import check_model, is_packable


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_demos_model_runs_packed_rows_in_either_type(demo_model: Path, dtype: torch.dtype) -> None:
    model = load_causal_lm(demo_model).to(dtype)
    check_model(model)
    assert is_packable(model)
