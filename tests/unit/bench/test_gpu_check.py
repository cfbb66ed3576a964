"""`make gpu-check` on the CPU with tiny shapes: every part but the device."""

import pytest
import torch
from bench import gpu_check
from bench.gpu_check import Line, Shape

CPU = torch.device("cpu")
TINY = Shape(
    "tiny",
    {
        "vocab_size": 259,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    },
)


def test_steps_on_the_same_device_are_the_same():
    weights, loss = gpu_check.steps(CPU, TINY)
    assert (weights.value, loss.value) == (0.0, 0.0)
    assert weights.fine
    assert loss.fine


@pytest.mark.parametrize(("memory", "trained"), [(10**12, "all weights"), (2**30 + 2_000_000, "an adapter of rank 16")])
def test_utilisation_trains_what_fits(memory, trained):
    step, speed = gpu_check.utilisation(CPU, TINY, memory=memory, tokens=400, prompt=20, rounds=1)
    assert step.note == speed.note == f"{trained}, one row of 400 tokens"
    assert speed.value == pytest.approx(400 / step.value)


def test_the_loop_trains_every_version_on_what_the_engine_made_of_it():
    publish, swap, difference = gpu_check.loop(CPU, TINY, engine="hf", versions=3, new=12)
    assert publish.value > 0 < swap.value
    assert 0 < difference.value < 0.1
    assert "3 versions of tiny" in swap.note


def test_the_shapes_are_those_of_their_names():
    sizes = {shape.name: shape for shape in (gpu_check.QWEN3_06B, gpu_check.QWEN3_4B)}
    counts = {name: gpu_check.shape_of_config(shape.config()).parameters for name, shape in sizes.items()}
    assert counts == {"Qwen3-0.6B": 596_049_920, "Qwen3-4B": 4_022_468_096}


def test_a_part_that_fails_is_named_and_the_others_run():
    def fail():
        raise ValueError("no kernel")

    now = iter([0.0, 1.0, 2.0, 3.0, 700.0, 701.0])
    parts = {"a": fail, "b": lambda: [Line("b", 1.0, "s")], "c": lambda: [Line("c", 1.0, "s")]}
    lines, failed = gpu_check.run_parts(parts, 600, lambda: next(now))
    assert [line.what for line in lines] == ["b"]
    assert failed == ["a: ValueError: no kernel", "c: not begun, the ten minutes are over"]


def test_the_table():
    lines = [
        Line("step", 1.23456, "s", note="one row"),
        Line("loss", 0.1, "", fine=False),
        Line("w", 0.0, "", fine=True),
    ]
    assert gpu_check.render("a card", lines).splitlines() == [
        "| on a card | value | | |",
        "| --- | ---: | --- | --- |",
        "| step | 1.235 s |  | one row |",
        "| loss | 0.1  | **not fine** |  |",
        "| w | 0  | fine |  |",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    assert gpu_check.main() == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "gpu-check is skipped: torch sees no CUDA device" in err
