"""Several processes take the steps of one: FSDP2 over gloo on the CPU, uneven shares, a process without rows."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from support import sharded_steps
from support.sharded_steps import CASES, HISTORY, batch, take_steps, whole_ppo

from infra.local.ports import LOOPBACK, free_port
from streams.messages import WeightsKind
from trainer.step.ppo import PPO
from trainer.step.report import StepReport
from trainer.step.row_partition import balance_lpt
from trainer.weights import checkpoint
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
    made = {name: whole_ppo(template, template, settings) for name, settings in CASES.items()}
    return {name: Alone(ppo, take_steps(ppo)) for name, ppo in made.items()}


@pytest.fixture(scope="module")
def by_two(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(2, template, tmp_path_factory.mktemp("two"), {})


@pytest.fixture(scope="module")
def saved(by_two: Path) -> dict[str, Path]:
    return {name: next((by_two / name / "checkpoints").iterdir()) for name in CASES}


def run(size: int, template: Path, out: Path, saved: dict[str, Path]) -> Path:
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(free_port())}
    sharded_steps.run(size, template, out, saved)
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
    assert len(batch(0).rows) == 3  # in two mini-batches: one row in one of them
    assert len({len(row.packed.input_ids) for row in batch(0).rows}) > 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", CASES)
def test_two_processes_find_the_losses_of_one(by_two: Path, alone: dict[str, Alone], name: str) -> None:
    assert_same(reports(by_two, name), alone[name].reports)


@pytest.mark.parametrize("name", CASES)
def test_what_they_publish_and_save_is_what_one_would(
    by_two: Path, saved: dict[str, Path], alone: dict[str, Alone], template: Path, name: str
) -> None:
    kind = WeightsKind.ADAPTER if CASES[name].lora.rank else WeightsKind.FULL
    file = ADAPTER_FILE if kind is WeightsKind.ADAPTER else WEIGHTS_FILE
    expected = own_tensors(alone[name].ppo.policy)
    for folder in (next((by_two / name / "versions").iterdir()), saved[name]):
        found = load_file(folder / file)
        assert found.keys() == expected.keys()
        for key, tensor in found.items():
            assert torch.allclose(tensor, expected[key], atol=1e-4), key
    again = whole_ppo(saved[name], template, CASES[name])
    assert checkpoint.restore(saved[name], again) == HISTORY
    restored, own = again.state_dict(), alone[name].ppo.state_dict()
    assert restored.keys() == own.keys()
    for optimizer in ("policy_optimizer", "value_optimizer"):
        if optimizer in own:
            ours, theirs = restored[optimizer]["adamw"]["state"], own[optimizer]["adamw"]["state"]
            assert {n: {k: v.shape for k, v in e.items()} for n, e in ours.items()} == {
                n: {k: v.shape for k, v in e.items()} for n, e in theirs.items()
            }


@pytest.mark.timeout(240)
def test_three_processes_go_on_where_two_stopped_as_one_does(
    saved: dict[str, Path], template: Path, tmp_path: Path
) -> None:
    out = run(3, template, tmp_path, saved)
    for name, settings in CASES.items():
        single = whole_ppo(saved[name], template, settings)
        checkpoint.restore(saved[name], single)
        assert_same(reports(out, name), take_steps(single, sharded_steps.STEPS))


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
