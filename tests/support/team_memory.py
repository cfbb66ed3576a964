"""The memory of a learner of several processes: each phase's peak in every process, above the process at rest."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from infra.settings.learner import LearnerSettings, ValueSettings
from support.processes import run_processes
from support.sharded_steps import SEED, batch, built, save
from support.tiny_model import save_tiny_model
from trainer.distributed.process_group import ProcessGroup
from trainer.seqset import SeqSet
from trainer.step.ppo import PPO
from trainer.weights import checkpoint
from trainer.weights.history import LearnerHistory
from trainer.weights.publish import Publisher

LEARNER = LearnerSettings(value=ValueSettings(kind="model"), autocast=False)
BYTES_PER_WEIGHT = 16
"""Weight, gradient and two moments, float32."""
PHASES = ("start", "step", "publication", "checkpoint", "resume")
_STATUS = Path("/proc/self/status")


def save_wide_model(folder: Path, hidden: int, layers: int) -> int:
    """A Llama with random weights; returns its number of weights."""
    save_tiny_model(folder, seed=0)  # the tokenizer
    config = LlamaConfig.from_pretrained(folder)
    config.update({"hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers})
    config.update({"head_dim": hidden // 4, "initializer_range": 0.02})
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def peaks(size: int, template: Path, small: Path, out: Path) -> list[dict[str, int]]:
    """Bytes above rest in each phase, for each process. `small` is a model with which each phase runs once before, so
    that rest includes the libraries.
    """
    for part in ("train", "resume"):
        run_processes(_member, size, template, small, out, part)
    return [
        json.loads((out / f"train-{rank}").read_text()) | json.loads((out / f"resume-{rank}").read_text())
        for rank in range(size)
    ]


def _member(processes: ProcessGroup, template: Path, small: Path, out: Path, part: str) -> None:
    _train(small, out / f"small-{part}", processes)
    _restored(small, out / f"small-{part}", processes)
    rest = _status("VmRSS")
    found: dict[str, int] = {}
    if part == "train":
        found = _train(template, out / "whole", processes)
    else:
        with _peak(found, "resume"):
            ppo = _restored(template, out / "whole", processes)
        del ppo
    (out / f"{part}-{processes.rank}").write_text(json.dumps({name: peak - rest for name, peak in found.items()}))


def _train(template: Path, out: Path, processes: ProcessGroup) -> dict[str, int]:
    found: dict[str, int] = {}
    with _peak(found, "start"):
        ppo = built(template, LEARNER, processes)
    with _peak(found, "step"):
        ppo.step(batch(0, LEARNER, processes.rank, processes.size), 0, seed=SEED)
    publisher = Publisher(out / "versions", template, "r", torch.bfloat16, 2)
    with _peak(found, "publication"):
        if processes.is_leader:
            publisher.write(publisher.gather_weights(ppo.policy), 0, 1)
        else:
            publisher.help_to_gather(ppo.policy)
    with _peak(found, "checkpoint"):
        save(ppo, out, LearnerHistory(0, 1, 0, {}, SeqSet()), template, processes)
    return found


def _restored(template: Path, out: Path, processes: ProcessGroup) -> PPO:
    ppo = built(template, LEARNER, processes)
    checkpoint.restore(out / "v000001", ppo, processes.checkpoint_group)
    return ppo


@contextmanager
def _peak(found: dict[str, int], name: str) -> Iterator[None]:
    """Notes the peak resident size within the block (proc(5): writing 5 to clear_refs resets it)."""
    Path("/proc/self/clear_refs").write_text("5")
    yield
    found[name] = _status("VmHWM")


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
