"""Peak memory of a step's forward and backward passes, packed rows against padded ones.

    python tests/bench/bench_learner_memory.py

`learner.memory_vs_padded`: bytes above the loaded model, at most, while 8 groups of 8 responses of the demo's lengths
(`.long`: one of 128 to 512 tokens) pass through SmolLM2-135M once. Ours: the learner's rows, its attention and logits.
`padded`: each response after its prompt in a row of its own, padded to the longest; as many at a time as have no more
tokens than the longest of our rows; logits of every position in float32, and a log-softmax of them. `ratio` is ours
over padded: less is better. `.recomputed`: ours with learner.gradient_checkpointing.

Each in a process of its own, which reads its own peak resident size: what it had before the passes is taken off.
"""

import multiprocessing
import resource
from multiprocessing.connection import Connection

import learner_cases as cases
import torch
from measures import measure

from trainer.step.batch import pack_batch
from trainer.step.language_models import autocast, policy_forward
from trainer.step.layers import recompute_activations
from trainer.step.trajectory import Trajectory

LENGTHS = {"": (cases.SHORT, cases.GROUPS), ".long": (cases.LONG, 1)}
KINDS = ("padded", "packed", "recomputed")


def main() -> None:
    for name, (lengths, groups) in LENGTHS.items():
        found = {kind: peak_of(kind, lengths, groups) for kind in KINDS}
        against = f"learner.memory.padded{name}"
        measure(against, found["padded"], "MB")
        for kind, suffix in (("packed", ""), ("recomputed", ".recomputed")):
            ratio = found[kind] / found["padded"]
            measure(f"learner.memory_vs_padded{name}{suffix}", found[kind], "MB", against=against, ratio=ratio)


def peak_of(kind: str, lengths: tuple[int, int], groups: int) -> float:
    """MB, in a process of its own. Raises SystemExit where that fails."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report_peak, args=(sender, kind, lengths, groups))
    child.start()
    sender.close()
    try:
        return float(receiver.recv())
    except EOFError:
        child.join()
        raise SystemExit(f"{kind}: the measuring process ended with exit code {child.exitcode}") from None
    finally:
        child.join()


def report_peak(sender: Connection, kind: str, lengths: tuple[int, int], groups: int) -> None:
    torch.set_num_threads(cases.THREADS)
    model = cases.policy("sdpa" if kind == "padded" else None)
    for parameter in model.parameters():  # gradients are the same in both
        parameter.grad = torch.full_like(parameter, 0.0)
    if kind == "recomputed":
        recompute_activations(model)
    members = cases.drawn_groups(lengths, groups)
    run = padded_pass if kind == "padded" else packed_pass
    run(model, cases.drawn_groups((2, 2), groups=1))  # what the first pass of all loads is not measured
    before = peak_bytes()
    run(model, members)
    sender.send((peak_bytes() - before) / 1e6)


def packed_pass(model: torch.nn.Module, members: list[list[Trajectory]]) -> None:
    settings = cases.settings_of()
    for row in pack_batch(members, settings.packed_row_tokens).rows:
        with autocast(enabled=True):
            output = policy_forward(model, row, logits_chunk_tokens=settings.logits_chunk_tokens)
        (-output.logprobs_N.mean()).backward()


def padded_pass(model: torch.nn.Module, members: list[list[Trajectory]]) -> None:
    responses = [trajectory for group in members for trajectory in group]
    width = max(len(each.prompt) + len(each.tokens) for each in responses)
    longest = max(len(row.packed.input_ids) for row in pack_batch(members, cases.settings_of().packed_row_tokens).rows)
    count = max(1, longest // width)
    for first in range(0, len(responses), count):
        chosen = responses[first : first + count]
        ids = torch.zeros(len(chosen), width, dtype=torch.long)
        real = torch.zeros_like(ids)
        for number, each in enumerate(chosen):
            tokens = torch.tensor([*each.prompt, *each.tokens])
            ids[number, : len(tokens)] = tokens
            real[number, : len(tokens)] = 1
        with autocast(enabled=True):
            logits = model(input_ids=ids, attention_mask=real, use_cache=False).logits.float()
        logprobs = torch.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None])[..., 0]
        targets = real[:, 1:].bool() & (torch.arange(1, width) >= cases.PROMPT)
        (-logprobs[targets].mean()).backward()


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
