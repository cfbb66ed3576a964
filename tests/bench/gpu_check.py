"""What a machine with a GPU should show, in ten minutes: `make gpu-check`.

Four parts, each a function of a device and a shape, so that the tests run all of them on the CPU:

- `steps`: three steps of PPO with a value model on the device, against the same steps on the CPU, in float32.
- `utilisation`: seconds of a step over one row of 16,384 tokens with random weights in the shapes of Qwen3-0.6B and
  Qwen3-4B, and the share of the card's dense bfloat16 peak (`flops.py`). A model that does not fit trains an adapter.
- `loop`: an engine on the same device generates a group, the learner trains on it and publishes, the engine loads: 20
  versions. It measures how far apart engine and learner are, and the seconds of publishing and of the swap.

It prints a table, for the docs. Exit code 1: a part failed; the others' lines are kept. Without a CUDA device it says
so, and the exit code is 0.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from bench.flops import peak_of, training_flops
from bench.measures import note
from support.tiny_model import save_tiny_model
from transformers import AutoConfig, AutoModelForCausalLM

from infra.capacity.hardware import Assumptions
from infra.capacity.learner_memory import learner_memory
from infra.capacity.model_shape import shape_of_config
from infra.capacity.rows import row_sizes
from infra.settings.learner import LearnerSettings
from infra.settings.tree import EngineSettings, Settings
from streams.messages import Sampling
from trainer.step.batch import pack_batch
from trainer.step.language_models import ValueModel, load_causal_lm
from trainer.step.layers import recompute_activations
from trainer.step.ppo import PPO
from trainer.step.trajectory import Trajectory
from trainer.weights import lora
from trainer.weights.publish import Publisher
from workers.engines.base import Engine, Generation, GenerationRequest, WeightVersion
from workers.engines.factory import make_engine
from workers.models import packed_attention

BUDGET_SECONDS = 600
VERSIONS = 20
ROW_TOKENS = 16_384
PROMPT = 256
LARGEST_WEIGHT_DIFFERENCE = 1e-4
"""Between weights on device and CPU after three steps at a rate of 1e-3: AdamW's updates are 1e-3 each, and rounding
turns a few of those whose gradient is nearly 0."""
LARGEST_LOGPROB_DIFFERENCE = 0.02
"""Nats between engine and learner under one version, in the mean (infra/scalars)."""


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    sizes: dict[str, Any]
    """Those of a Qwen3 configuration."""

    def config(self) -> Any:
        return AutoConfig.for_model("qwen3", **self.sizes)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    what: str
    value: float
    unit: str
    fine: bool | None = None
    """Whether the value is within its bound; None if it has none."""
    note: str = ""


COMMON = {"head_dim": 128, "vocab_size": 151_936, "max_position_embeddings": 40_960, "tie_word_embeddings": True}
QWEN3_06B = Shape(
    "Qwen3-0.6B",
    COMMON
    | {
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
    },
)
QWEN3_4B = Shape(
    "Qwen3-4B",
    COMMON
    | {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
)
SMALL = Shape(
    "small",
    {
        "vocab_size": 512,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
)


def main() -> int:
    if not torch.cuda.is_available():
        note("gpu-check is skipped: torch sees no CUDA device (`nvidia-smi` lists what the driver sees)")
        return 0
    device = torch.device("cuda")
    memory = torch.cuda.mem_get_info()[1]
    parts: dict[str, Callable[[], Iterable[Line]]] = {
        "steps against the CPU": lambda: steps(device, SMALL),
        "utilisation, 0.6B": lambda: utilisation(device, QWEN3_06B, memory=memory),
        "vLLM in the loop": lambda: loop(device, QWEN3_06B, engine="vllm"),
        "utilisation, 4B": lambda: utilisation(device, QWEN3_4B, memory=memory),
    }
    lines, failed = run_parts(parts, BUDGET_SECONDS)
    print(render(torch.cuda.get_device_name(), lines))
    for name in failed:
        note(f"failed: {name}")
    return 1 if failed or any(line.fine is False for line in lines) else 0


def run_parts(
    parts: dict[str, Callable[[], Iterable[Line]]], budget: float, clock: Callable[[], float] = time.monotonic
) -> tuple[list[Line], list[str]]:
    """Lines of all parts, and those parts that failed or found no time left, with the reason."""
    lines: list[Line] = []
    failed = []
    started = clock()
    for name, part in parts.items():
        if clock() - started > budget:
            failed.append(f"{name}: not begun, the ten minutes are over")
            continue
        try:
            lines += part()
        except Exception as error:  # noqa: BLE001 (one part's failure is a finding, and the others still run)
            failed.append(f"{name}: {type(error).__name__}: {error}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        note(f"{name}: {clock() - started:.0f} s so far")
    return lines, failed


def render(card: str, lines: Sequence[Line]) -> str:
    """The table as Markdown."""
    words = {None: "", True: "fine", False: "**not fine**"}
    rows = [f"| {line.what} | {line.value:.4g} {line.unit} | {words[line.fine]} | {line.note} |" for line in lines]
    return "\n".join([f"| on {card} | value | | |", "| --- | ---: | --- | --- |", *rows])


def steps(device: torch.device, shape: Shape) -> list[Line]:
    """Trains the same learner on the CPU and on `device`."""
    settings = LearnerSettings(
        autocast=False, learning_rate=1e-3, warmup_steps=0, value={"learning_rate": 1e-3}, packed_row_tokens=1024
    )
    learners = [learner_of(shape, place, settings) for place in (torch.device("cpu"), device)]
    losses: list[list[float]] = [[], []]
    for version in range(3):
        batch = pack_batch([drawn_group(shape, 32, 100, 4, seed) for seed in (2 * version, 2 * version + 1)], 1024)
        for found, learner in zip(losses, learners, strict=True):
            found.append(learner.step(batch, version, 0).policy_loss)
    pairs = zip(learners[0].policy.parameters(), learners[1].policy.parameters(), strict=True)
    weights = max(float((ours - theirs.cpu()).detach().abs().mean()) for ours, theirs in pairs)
    loss = max(abs(a - b) for a, b in zip(*losses, strict=True))
    return [
        Line("weights after three steps, device - CPU", weights, "", weights <= LARGEST_WEIGHT_DIFFERENCE, "mean |w|"),
        Line("policy loss, device - CPU", loss, "", loss <= LARGEST_WEIGHT_DIFFERENCE, "largest of three steps"),
    ]


def utilisation(
    device: torch.device, shape: Shape, *, memory: int, tokens: int = ROW_TOKENS, prompt: int = PROMPT, rounds: int = 3
) -> list[Line]:
    """Seconds of a step over one row. `memory`: bytes of the device, in which the learner has to fit."""
    learner: dict[str, Any] = {
        "advantage": "group",
        "value": {"kind": "none"},
        "minibatches": 1,
        "packed_row_tokens": tokens,
        "logits_chunk_tokens": 2048,
        "gradient_checkpointing": True,
    }
    trained = "all weights"
    if needed_bytes(shape, learner, tokens, prompt) > memory:
        learner["lora"] = {"rank": 16}
        trained = "an adapter of rank 16"
    settings = LearnerSettings.model_validate(learner)
    ppo = learner_of(shape, device, settings)
    batch = pack_batch([drawn_group(shape, prompt, (tokens - prompt) // 2, 2, 0)], tokens)
    taken = []
    for version in range(rounds + 1):
        started = time.perf_counter()
        ppo.step(batch, settings.warmup_steps + version, 0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    seconds = median(taken[1:])
    about = f"{trained}, one row of {batch.tokens} tokens"
    lines = [
        Line(f"{shape.name}: step", seconds, "s", note=about),
        Line(f"{shape.name}: tokens", batch.tokens / seconds, "tokens/s", note=about),
    ]
    peak = peak_of(torch.cuda.get_device_name()) if device.type == "cuda" else None
    if peak:
        share = training_flops(shape.config(), batch.rows) / seconds / peak
        lines.append(Line(f"{shape.name}: utilisation", share, "of peak", note="recomputation counts for nothing"))
    return lines


def loop(device: torch.device, shape: Shape, *, engine: str, versions: int = VERSIONS, new: int = 256) -> list[Line]:
    """Engine and learner on one device, without the log between them."""
    with tempfile.TemporaryDirectory() as name:
        folder = save_model(shape, Path(name) / "model")
        settings = LearnerSettings(
            advantage="group", value={"kind": "none"}, filter_zero_variance=False, packed_row_tokens=8 * new + 64
        )
        policy = load_causal_lm(folder).to(device)
        ppo = PPO(policy, None, settings)
        publisher = Publisher(Path(name) / "versions", folder, "check", torch.bfloat16, keep=2)
        arguments = {"gpu_memory_utilization": 0.3} if engine == "vllm" and device.type == "cuda" else {}
        chosen = EngineSettings(kind=engine, max_running=8, max_model_tokens=new + 64, vllm_args=arguments)
        made = make_engine(chosen, folder, "bfloat16")
        publish, swap, differences = [], [], []
        try:
            for version in range(versions):
                started = time.perf_counter()
                publisher.publish(policy, 0, version)
                published = time.perf_counter()
                made.load_weights(publisher.folder / f"lineage000-v{version:06d}", WeightVersion(0, version))
                publish.append(published - started)
                swap.append(time.perf_counter() - published)
                report = ppo.step(
                    pack_batch([generated_group(made, new, version)], settings.packed_row_tokens), version, 0
                )
                differences.append(report.logprob_diff_mean)
        finally:
            made.close()
    difference = median(differences)
    about = f"{versions} versions of {shape.name}, bfloat16, engine {engine}"
    return [
        Line("publish", median(publish), "s", note=about),
        Line("swap", median(swap), "s", note=f"{about}; worst {max(swap):.3g} s"),
        Line(
            "engine - learner", difference, "nats", difference <= LARGEST_LOGPROB_DIFFERENCE, f"mean |log p|; {about}"
        ),
    ]


def needed_bytes(shape: Shape, learner: dict[str, Any], tokens: int, prompt: int) -> int:
    settings = Settings(
        learner=learner,
        rollout={"sampling": {"max_new_tokens": tokens - prompt}},
        selector={"group_size": 2},
    )
    sizes = shape_of_config(shape.config())
    rows = row_sizes(settings, Assumptions(prompt_tokens=prompt))
    return learner_memory(sizes, sizes, settings.learner, rows).total


def learner_of(shape: Shape, device: torch.device, settings: LearnerSettings) -> PPO:
    """A learner with random weights by a fixed seed, the same on every device."""
    policy = random_model(shape, device)
    if settings.lora.rank:
        policy = lora.adapt(policy, settings.lora, Path(shape.name))
    if settings.gradient_checkpointing:
        recompute_activations(policy)
    value = None
    if settings.value.kind == "model":
        value = ValueModel(policy.config.hidden_size, random_model(shape, device).base_model).to(device)
    return PPO(policy.to(device), value, settings)


def random_model(shape: Shape, device: torch.device) -> Any:
    """Small shapes are drawn on the CPU, so that every device has the same weights; large ones where they stay."""
    torch.manual_seed(0)
    with torch.device("cpu" if shape.sizes["hidden_size"] <= SMALL.sizes["hidden_size"] else device):
        model: Any = AutoModelForCausalLM.from_config(
            shape.config(), dtype=torch.float32, attn_implementation=packed_attention.register()
        )
    return model.to(device).eval()


def save_model(shape: Shape, folder: Path) -> Path:
    """A folder with random weights of the shape, and a tokenizer of bytes."""
    save_tiny_model(folder, seed=0)
    (folder / "model.safetensors").unlink()
    config = shape.config()
    config.eos_token_id = config.pad_token_id = 2
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    return folder


def drawn_group(shape: Shape, prompt: int, response: int, responses: int, seed: int) -> list[Trajectory]:
    draw = np.random.default_rng(seed)

    def ids(count: int) -> Any:
        return draw.integers(3, shape.sizes["vocab_size"], count, np.int32)

    start = ids(prompt)
    return [
        trajectory(start, ids(response), np.full(response, -6.0, np.float32), 0, index) for index in range(responses)
    ]


def generated_group(engine: Engine, new: int, version: int) -> list[Trajectory]:
    """Eight responses that the engine samples, scored by turns."""
    prompt = engine.encode_chat(({"role": "user", "content": "Count to ten."},))
    sampling = Sampling(temperature=1.0, max_new_tokens=new, seed=version)
    engine.submit(GenerationRequest("g", prompt, 8, sampling))
    made: list[Generation] = []
    while engine.running:
        made += engine.step()
    start = np.array(prompt, np.int32)
    return [
        trajectory(start, np.array(one.token_ids, np.int32), np.array(one.logprobs, np.float32), version, index)
        for index, one in enumerate(made)
    ]


def trajectory(prompt: Any, tokens: Any, logprobs: Any, version: int, index: int) -> Trajectory:
    count = len(tokens)
    versions = np.full(count, version, np.int32)
    return Trajectory(prompt, tokens, np.ones(count, np.bool_), logprobs, versions, float(index % 2), 1.0, "check")


if __name__ == "__main__":
    sys.exit(main())
