"""Several processes take the steps of one: FSDP2 over gloo on the CPU, uneven shares, a process without rows."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from support import sharded_steps
from support.processes import run_processes
from support.sharded_steps import CASES, HISTORY, batch, built, take_steps

from streams.messages import WeightsKind
from trainer.step.ppo import PPO
from trainer.step.report import StepReport
from trainer.step.row_plan import balance_lpt
from trainer.weights import checkpoint
from trainer.weights.export import exported
from trainer.weights.policy_io import own_tensors
from workers.models.model_files import ADAPTER_FILE, WEIGHTS_FILE

pytestmark = pytest.mark.slow

ROUNDING = {"rel": 1e-3, "abs": 1e-5}
"""float32 sums in another order, through steps of Adam, whose first divide by numbers near 0."""


@dataclass
class Alone:
    """What one process does: two steps, and two more."""

    ppo: PPO
    reports: list[StepReport]


@pytest.fixture(scope="module")
def template(tiny_policy: Path) -> Path:
    return tiny_policy


@pytest.fixture(scope="module")
def alone(template: Path) -> dict[str, Alone]:
    made = {name: built(template, settings) for name, settings in CASES.items()}
    return {name: Alone(ppo, take_steps(ppo, CASES[name])) for name, ppo in made.items()}


@pytest.fixture(scope="module")
def by_four(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(4, template, tmp_path_factory.mktemp("four"), {})


@pytest.fixture(scope="module")
def saved(by_four: Path) -> dict[str, Path]:
    """The checkpoints of four processes."""
    return {name: next((by_four / name / "checkpoints").iterdir()) for name in CASES}


def run(size: int, template: Path, out: Path, saved: dict[str, Path]) -> Path:
    run_processes(sharded_steps.member, size, template, out, saved)
    return out


def reports(out: Path, name: str) -> list[StepReport]:
    return msgspec.json.decode((out / name / "reports").read_bytes(), type=list[StepReport])


def assert_same(found: list[StepReport], expected: list[StepReport]) -> None:
    numbers = [name for name in StepReport.__dataclass_fields__ if name not in {"seconds", "skipped"}]
    for ours, theirs in zip(found, expected, strict=True):
        assert not ours.skipped
        for name in numbers:
            value, wanted = getattr(ours, name), getattr(theirs, name)
            assert value == (wanted if wanted is None else pytest.approx(wanted, **ROUNDING)), name


def test_the_batches_leave_a_process_without_rows() -> None:
    rows = batch(0, CASES["group"]).rows
    assert len(rows) == 3  # in two mini-batches: one row in one of them
    assert len({len(row.packed.input_ids) for row in rows}) > 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", CASES)
def test_four_processes_find_the_losses_of_one(by_four: Path, alone: dict[str, Alone], name: str) -> None:
    assert_same(reports(by_four, name), alone[name].reports)


@pytest.mark.parametrize("name", CASES)
def test_what_they_publish_and_save_is_what_one_would(
    by_four: Path, saved: dict[str, Path], alone: dict[str, Alone], template: Path, name: str
) -> None:
    kind = WeightsKind.ADAPTER if CASES[name].lora.rank else WeightsKind.FULL
    file = ADAPTER_FILE if kind is WeightsKind.ADAPTER else WEIGHTS_FILE
    expected = own_tensors(alone[name].ppo.policy)
    for folder in (next((by_four / name / "versions").iterdir()), exported(saved[name], by_four / "exported" / name)):
        found = load_file(folder / file)
        assert found.keys() == expected.keys()
        for key, tensor in found.items():
            assert torch.allclose(tensor, expected[key], atol=1e-4), key
    again = built(template, CASES[name])
    assert checkpoint.restore(saved[name], again) == HISTORY
    restored, own = checkpoint.tensors_of(again), checkpoint.tensors_of(alone[name].ppo)
    assert restored.keys() == own.keys()
    for key, tensor in restored.items():
        assert torch.allclose(tensor, own[key], atol=1e-3), key


@pytest.mark.timeout(240)
def test_two_processes_go_on_where_four_stopped_as_one_does(
    saved: dict[str, Path], template: Path, tmp_path: Path
) -> None:
    out = run(2, template, tmp_path, saved)
    for name, settings in CASES.items():
        single = built(template, settings)
        checkpoint.restore(saved[name], single)
        assert_same(reports(out, name), take_steps(single, settings, sharded_steps.STEPS))


@pytest.mark.parametrize(
    ("costs", "parts", "expected"),
    [
        ([], 2, [[], []]),
        ([5], 3, [[0], [], []]),
        ([1, 9, 4, 4], 2, [[1], [2, 3, 0]]),
        ([3, 3, 3], 2, [[0, 2], [1]]),
    ],
)
def test_rows_are_divided_by_length(costs: list[int], parts: int, expected: list[list[int]]) -> None:
    assert balance_lpt(costs, parts) == expected
