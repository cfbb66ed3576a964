"""Seconds that an engine stands still for new weights, with requests in flight, and what comes before the swap.

Run by hand: `python tests/bench/bench_weight_swap.py [--engine hf|vllm ...] [--swaps N] [--threads N]`. Whole weights
of SmolLM2-135M and adapters of rank 16 on every linear layer, in bfloat16; each engine in a process of its own.
"""

import argparse
import importlib.util
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from measures import measure, note

ROWS = 32
NEW_TOKENS = 192
RANK = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ["hf", "vllm"] if importlib.util.find_spec("vllm") else ["hf"]
    parser.add_argument("--engine", action="append", choices=known, help="default: all that are installed")
    parser.add_argument("--swaps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for engine in options.engine or known:
        for rank in (0, RANK):
            child = multiprocessing.get_context("spawn").Process(
                target=measure_swaps, args=(engine, rank, options.swaps, options.threads)
            )
            child.start()
            child.join()
            if child.exitcode:
                raise SystemExit(child.exitcode)


def measure_swaps(name: str, rank: int, swaps: int, threads: int) -> None:
    """One engine and one kind of weights."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    from infra.settings.learner import LoraSettings
    from infra.settings.tree import EngineSettings
    from trainer.weights.policy_io import load_policy
    from trainer.weights.publish import Publisher
    from workers.engines.base import WeightVersion
    from workers.engines.factory import make_engine
    from workers.models.model_files import DEMO_MODEL, resolve_model
    from workers.models.weight_cache import WeightCache

    torch.set_num_threads(threads)
    model = resolve_model(DEMO_MODEL, Path("runs/prepared"))
    policy = load_policy(model, LoraSettings(rank=rank))
    settings = EngineSettings(kind=name, max_running=ROWS, max_model_tokens=512, threads=threads)
    engine = make_engine(settings, model, "bfloat16", lora_rank=rank)
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(Path(folder) / "versions", model, "bench", torch.bfloat16, keep=2)
        cache = WeightCache(Path(folder) / "fetched")
        submit(engine)
        done, seconds = 0, {"publish": [], "check": [], "swap": []}
        for version in range(swaps):
            for _ in range(NEW_TOKENS // (2 * swaps)):
                done += len(engine.step())
            announced = timed(seconds["publish"], lambda version=version: publisher.publish(policy, 0, version))
            where = timed(seconds["check"], lambda announced=announced: cache.folder_of(announced))
            timed(
                seconds["swap"],
                lambda where=where, version=version: engine.load_weights(where, WeightVersion(0, version)),
            )
        assert engine.running == ROWS - done
        while engine.running:
            done += len(engine.step())
    note(f"{name} rank {rank}: {done} of {ROWS} requests came back whole over {swaps} swaps")
    kind = f"adapter.rank{rank}" if rank else "full"
    for phase, found in seconds.items():
        measure(f"weights.{phase}.{name}.{kind}", median(found), "s", running=ROWS, threads=threads, worst=max(found))
    engine.close()


def submit(engine: Any) -> None:
    from streams.messages import Sampling
    from workers.engines.base import GenerationRequest

    prompt = engine.encode_chat(({"role": "user", "content": "Count from one to one hundred in words."},))
    sampling = Sampling(temperature=1.0, max_new_tokens=NEW_TOKENS)
    for number in range(ROWS):
        engine.submit(GenerationRequest(f"g{number}", prompt, 1, sampling))


def timed(seconds: list[float], action: Any) -> Any:
    started = time.perf_counter()
    result = action()
    seconds.append(time.perf_counter() - started)
    return result


if __name__ == "__main__":
    main()
