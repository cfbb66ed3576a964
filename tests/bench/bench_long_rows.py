"""Memory of a step over long answers: 16 responses of one prompt, in rows of 32,768 tokens.

    python tests/bench/bench_long_rows.py [--tokens N ...]

`learner.long.bytes_per_token`: bytes above the loaded learner at most, per token of one row, while a group of 16
responses of N tokens (4,096, 8,192 and 16,384) is trained on for one step by a Llama of two layers (hidden size 64)
with gradient checkpointing and bounded logits. Linear memory has the same figure at every N. `learner.long.seconds` is
the step's time, and `learner.long.wire_bytes_per_token` what a leader sends to all of four processes together.

Each N in a process of its own, which reads its own peak resident size.
"""

import argparse
import multiprocessing
import pickle
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from measures import measure
from transformers import LlamaConfig, LlamaForCausalLM

from infra.settings.learner import LearnerSettings
from trainer.leader.commands import Train
from trainer.leader.coordinator import shares_of
from trainer.step.batch import outline_of, pack_batch
from trainer.step.language_models import load_causal_lm
from trainer.step.layers import recompute_activations
from trainer.step.ppo import PPO
from trainer.step.row_plan import plan_rows
from trainer.step.trajectory import Trajectory

TOKENS = (4_096, 8_192, 16_384)
SAMPLES = 16
PROCESSES = 4
PROMPT = 512
ROW_TOKENS = 32_768
VOCABULARY = 512
SETTINGS = {"advantage": "group", "value": {"kind": "none"}, "minibatches": 1, "logits_chunk_tokens": 1024}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, nargs="+", default=TOKENS)
    for tokens in parser.parse_args().tokens:
        found = measured_apart(tokens)
        measure(f"learner.long.bytes_per_token.{tokens}", found["bytes"], "bytes", row_tokens=found["row_tokens"])
        measure(f"learner.long.seconds.{tokens}", found["seconds"], "s", response_tokens=SAMPLES * tokens)
        measure(f"learner.long.wire_bytes_per_token.{tokens}", found["wire"], "bytes")


def measured_apart(tokens: int) -> dict[str, float]:
    """Raises SystemExit if the measuring process fails."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report_step, args=(sender, tokens))
    child.start()
    sender.close()
    try:
        found: dict[str, float] = receiver.recv()
    except EOFError:
        child.join()
        raise SystemExit(f"{tokens} tokens: the measuring process ended with exit code {child.exitcode}") from None
    finally:
        child.join()
    return found


def report_step(sender: Connection, tokens: int) -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        ppo = small_learner(Path(folder))
    group = drawn_group(tokens)
    ppo.step(pack_batch([[drawn_group(64)[0]] * 2], ROW_TOKENS), version=0, seed=0)  # the optimizer's state exists now
    batch = pack_batch([group], ROW_TOKENS)
    row_tokens = max(len(row.packed.input_ids) for row in batch.rows)
    before, started = peak_bytes(), time.perf_counter()
    ppo.step(batch, version=1, seed=0)
    seconds = time.perf_counter() - started
    outline = outline_of([group], ROW_TOKENS)
    plan = plan_rows(outline, LearnerSettings.model_validate(SETTINGS), version=1, seed=0, processes=PROCESSES)
    sent = [Train(outline, 1, 0)] * PROCESSES + shares_of(plan, group, frozenset())
    wire = sum(len(pickle.dumps(each)) for each in sent) / (SAMPLES * tokens)
    sender.send(
        {"bytes": (peak_bytes() - before) / row_tokens, "seconds": seconds, "wire": wire, "row_tokens": row_tokens}
    )


def small_learner(folder: Path) -> PPO:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2 * ROW_TOKENS,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    policy = load_causal_lm(folder)
    recompute_activations(policy)
    return PPO(policy, None, LearnerSettings.model_validate(SETTINGS))


def drawn_group(tokens: int) -> list[Trajectory]:
    draw = np.random.default_rng(0)
    prompt = draw.integers(3, VOCABULARY, PROMPT, np.int32)
    return [
        Trajectory(
            prompt,
            draw.integers(3, VOCABULARY, tokens, np.int32),
            np.ones(tokens, np.bool_),
            np.full(tokens, -6.0, np.float32),
            np.zeros(tokens, np.int32),
            float(index % 2),
            1.0,
            "bench",
        )
        for index in range(SAMPLES)
    ]


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
