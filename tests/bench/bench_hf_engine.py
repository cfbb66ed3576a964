"""Tokens a second of the hf engine against transformers' own `generate`, same prompts, process and threads.

Run by hand: `python tests/bench/bench_hf_engine.py [--threads N] [--dtype float32] [--prompts 24] [--new 24]`. Both are
measured in turns, so that what else the machine does falls on both.
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measures import measure
from transformers import AutoModelForCausalLM

from streams.messages import Sampling
from workers.engines.base import GenerationRequest
from workers.engines.hf import HfEngine
from workers.models.model_files import DEMO_MODEL, resolve_model

SAMPLES = 8
ROWS = 96


def prompts_of(engine: HfEngine, count: int) -> list[tuple[int, ...]]:
    tasks = ("Write one short sentence about topic {}.", "What is {} + 59? Answer with just the number.")
    return [engine.encode_chat(({"role": "user", "content": tasks[i % 2].format(i)},)) for i in range(count)]


def run_engine(engine: HfEngine, prompts: list[tuple[int, ...]], new: int, turn: int) -> float:
    """Tokens a second."""
    sampling = Sampling(temperature=1.0, max_new_tokens=new, seed=turn)
    started = time.perf_counter()
    for i, prompt in enumerate(prompts):
        engine.submit(GenerationRequest(f"{turn}/{i}", prompt, SAMPLES, sampling))
    tokens = 0
    while engine.running:
        tokens += sum(len(generation.token_ids) for generation in engine.step())
    return tokens / (time.perf_counter() - started)


def run_generate(model: Any, prompts: list[tuple[int, ...]], new: int, end: int) -> float:
    """Batches of ROWS, left-padded, each as long as its longest row; tokens up to the end token count."""
    started = time.perf_counter()
    tokens = 0
    for first in range(0, len(prompts), ROWS // SAMPLES):
        batch = prompts[first : first + ROWS // SAMPLES]
        width = max(map(len, batch))
        ids = torch.tensor([(end,) * (width - len(prompt)) + prompt for prompt in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                max_new_tokens=new,
                num_return_sequences=SAMPLES,
            )
        for row in out[:, width:].tolist():
            tokens += row.index(end) + 1 if end in row else len(row)
    return tokens / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--new", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = resolve_model(DEMO_MODEL, Path("runs/prepared"))
    engine = HfEngine(folder, max_running=ROWS, max_model_tokens=1024, dtype=options.dtype, device="cpu")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, options.dtype)).eval()
    prompts = prompts_of(engine, options.prompts)
    run_engine(engine, prompts[:2], 4, turn=-1)
    run_generate(model, prompts[:2], 4, end=2)
    ours, theirs = [], []
    for turn in range(options.turns):
        ours.append(run_engine(engine, prompts, options.new, turn))
        theirs.append(run_generate(model, prompts, options.new, end=2))
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    measure(
        "engine.hf", median(ours), "tokens/s", against="transformers generate", ratio=ratio, threads=options.threads
    )


if __name__ == "__main__":
    main()
