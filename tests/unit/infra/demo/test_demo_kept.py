"""The artifacts that the repository keeps were made from its present data and settings."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from infra.demo.keep import KINDS, demo_plan, keep
from infra.demo.prepare import KEPT
from infra.files.artifacts import made_from
from workers.models.model_files import ADAPTER_FILE

MOST_BYTES = 6 * 2**20


@pytest.mark.parametrize("kind", KINDS)
def test_kept_artifacts_are_of_the_present_inputs(kind: str) -> None:
    assert made_from(KEPT / kind) == demo_plan().name(kind), (
        "its inputs have changed: make it again with `python -m infra.demo.keep`"
    )


def test_only_what_a_demo_takes_is_kept_and_it_is_small() -> None:
    assert sorted(path.name for path in KEPT.iterdir()) == sorted(KINDS)
    for kind in KINDS:
        assert sum(path.stat().st_size for path in (KEPT / kind).iterdir()) < MOST_BYTES


def changes(adapter: Path) -> dict[str, torch.Tensor]:
    factors = {name: tensor.float() for name, tensor in load_file(adapter / ADAPTER_FILE).items()}
    return {
        name: factors[name.replace(".lora_A.", ".lora_B.")] @ a for name, a in factors.items() if ".lora_A." in name
    }


@pytest.mark.slow
@pytest.mark.rebuild
@pytest.mark.timeout(7200)
def test_the_command_makes_the_kept_artifacts_again(tmp_path: Path) -> None:
    """Not bit by bit, since the order of sums depends on the number of threads; but the same fits."""
    keep(tmp_path / "root", tmp_path / "kept")
    for kind in KINDS:
        assert made_from(tmp_path / "kept" / kind) == made_from(KEPT / kind)
    kept, again = changes(KEPT / "sft"), changes(tmp_path / "kept" / "sft")
    assert kept.keys() == again.keys()
    left, right = (torch.cat([found[name].flatten() for name in sorted(kept)]) for found in (kept, again))
    assert float(torch.cosine_similarity(left, right, dim=0)) > 0.9
    reports = [json.loads((folder / "base" / "report.json").read_text()) for folder in (KEPT, tmp_path / "kept")]
    kept_scores, scores = (report["report"] for report in reports)
    assert scores == pytest.approx(kept_scores, abs=0.05)
