"""The learner's step against a bare loop, and what recomputed proximal log-probabilities cost.

    python tests/bench/bench_learner.py [--rounds N]

`learner.vs_bare`: response tokens a second of `PPO.step`, rows packed within it (SmolLM2-135M, the demo's recipe, 8
groups of 8 responses of the demo's lengths), against a bare loop over the same packed rows: transformers' own sdpa
attention under the same mask, logits at the same positions, cross-entropy, the same bfloat16 autocast, backward, and
fused AdamW as often. The bare loop makes no rows, advantages, ratios, entropy, norms or clipping. `.long`: responses of
128 to 512 tokens. `.same_attention`: the bare loop with the learner's own attention and loss function.

Both sides take turns, and a ratio is the median over the rounds.
"""

import argparse
import random
from functools import partial
from statistics import median

import learner_cases as cases
import torch
from learner_cases import alternated, per_second, ratio_of, settings_of
from measures import measure

from trainer.step.batch import TrainingBatch, TrainingRow, pack_batch
from trainer.step.language_models import autocast, policy_forward
from trainer.step.ppo import PPO
from trainer.step.row_plan import split_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(cases.THREADS)
    against_bare("learner.vs_bare", cases.SHORT, cases.GROUPS, options.rounds)
    against_bare("learner.vs_bare.long", cases.LONG, 1, max(1, options.rounds // 2))
    proximal(options.rounds)


def against_bare(name: str, lengths: tuple[int, int], groups: int, rounds: int) -> None:
    members, settings = cases.drawn_groups(lengths, groups), settings_of()
    ppo, plain, same = PPO(cases.policy(), None, settings), cases.policy("sdpa"), cases.policy()
    batch = pack_batch(members, settings.packed_row_tokens)
    targets = [len(row.targets_N) for row in batch.rows]
    numbers = split_rows(range(len(targets)), targets, settings.minibatches, random.Random(0))
    parts = [[batch.rows[number] for number in part] for part in numbers]
    ours, bare, like = alternated(
        rounds,
        lambda: ppo.step(pack_batch(members, settings.packed_row_tokens), version=settings.warmup_steps, seed=0),
        partial(cases.bare_step, plain, cases.adamw(plain, settings), parts, cases.bare_loss),
        partial(cases.bare_step, same, cases.adamw(same, settings), parts, own_loss),
    )
    about = details(batch)
    measure(f"{name}.bare_loop", per_second(batch, bare), "response tokens/s", **about)
    for kind, theirs in (("", bare), (".same_attention", like)):
        against = f"{name}.bare_loop" if not kind else "bare loop with the learner's forward pass"
        ratio = ratio_of(ours, theirs)
        measure(name + kind, per_second(batch, ours), "response tokens/s", against=against, ratio=ratio, **about)


def own_loss(model: torch.nn.Module, row: TrainingRow) -> torch.Tensor:
    with autocast(enabled=True):
        return -policy_forward(model, row).logprobs_N.mean()


def proximal(rounds: int) -> None:
    """With several mini-batches, since the first one's own pass gives its proximal log-probabilities."""
    members = cases.drawn_groups(cases.SHORT)
    sides, batch = [], pack_batch(members, 256)
    for kind in ("recomputed", "behaviour"):
        ppo = PPO(cases.policy(), None, settings_of(objective={"proximal": kind}))
        sides.append(partial(ppo.step, batch, version=3, seed=0))
    recomputed, behaviour = alternated(rounds, *sides)
    measure(
        "learner.proximal_recomputed",
        median(recomputed),
        "s a step",
        against="proximal = behaviour",
        ratio=1 / ratio_of(recomputed, behaviour),
        **details(batch),
    )


def details(batch: TrainingBatch) -> dict[str, int]:
    return {"targets": batch.targets, "tokens": batch.tokens, "rows": len(batch.rows), "threads": cases.THREADS}


if __name__ == "__main__":
    main()
