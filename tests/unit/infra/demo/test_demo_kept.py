"""The artifacts that the repository keeps were made from its present data and settings."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from infra.demo.adapters import extract_adapter
from infra.demo.examples import sft_examples
from infra.demo.keep import KINDS, demo_plan, keep
from infra.demo.prepare import KEPT
from infra.files.artifacts import REPORT, made_from
from trainer.supervised.sft import run_sft
from workers.models.model_files import ADAPTER_FILE, DEMO_MODEL, resolve_model

MOST_BYTES = 10 * 2**20
"""All that is kept."""
ADAPTERS = ("sft", "genrm")


@pytest.mark.parametrize("kind", KINDS)
def test_kept_artifacts_are_of_the_present_inputs(kind: str) -> None:
    assert made_from(KEPT / kind) == demo_plan().name(kind), (
        "its inputs have changed: make it again with `python -m infra.demo.keep`"
    )


def test_only_what_a_demo_takes_is_kept_and_it_is_small() -> None:
    assert sorted(path.name for path in KEPT.iterdir()) == sorted(KINDS)
    assert sum(path.stat().st_size for path in KEPT.rglob("*") if path.is_file()) < MOST_BYTES


def changes(adapter: Path) -> dict[str, torch.Tensor]:
    factors = {name: tensor.float() for name, tensor in load_file(adapter / ADAPTER_FILE).items()}
    return {
        name: factors[name.replace(".lora_A.", ".lora_B.")] @ a for name, a in factors.items() if ".lora_A." in name
    }


def similarity(kept: Path, again: Path) -> float:
    """Cosine of the angle between the two changes of the weights."""
    one, other = changes(kept), changes(again)
    assert one.keys() == other.keys()
    left, right = (torch.cat([found[name].flatten() for name in sorted(one)]) for found in (one, other))
    return float(torch.cosine_similarity(left, right, dim=0))


def report_of(folder: Path) -> Any:
    return json.loads((folder / REPORT).read_text(encoding="utf-8"))["report"]


@pytest.mark.slow
@pytest.mark.rebuild
@pytest.mark.timeout(1800)  # two minutes of two cores, however busy the machine
def test_the_policy_that_is_kept_is_what_the_fit_gives(tmp_path: Path) -> None:
    """Not bit by bit, since the order of sums depends on the number of threads; but the same fit."""
    base = resolve_model(DEMO_MODEL, tmp_path / "root")
    settings = demo_plan().recipe.sft
    run_sft(base, sft_examples(), tmp_path / "fitted", settings)
    (tmp_path / "adapter").mkdir()
    extract_adapter(base, tmp_path / "fitted", settings.fit.lora_rank, tmp_path / "adapter")
    assert similarity(KEPT / "sft", tmp_path / "adapter") > 0.9


@pytest.mark.slow
@pytest.mark.rebuild
@pytest.mark.timeout(7200)
def test_the_command_makes_the_kept_artifacts_again(tmp_path: Path) -> None:
    """Small differences grow on the way: of a policy that differs in the last bits, some samples differ, and so the
    judge's triples.
    """
    keep(tmp_path / "root", tmp_path / "kept")
    again = tmp_path / "kept"
    for kind in KINDS:
        assert made_from(again / kind) == made_from(KEPT / kind)
    for kind, least in zip(ADAPTERS, (0.9, 0.5), strict=True):
        assert similarity(KEPT / kind, again / kind) > least
    for kind, most in (("base", 0.05), ("measures", 0.05)):
        assert report_of(again / kind) == pytest.approx(report_of(KEPT / kind), abs=most)
    found, kept = (report_of(folder / "references")["rubric"] for folder in (again, KEPT))
    assert found == pytest.approx(kept, abs=0.03)
