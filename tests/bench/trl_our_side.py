"""Our side of learner.vs_trl: `trl_our_side.py MODEL SAMPLES THREADS DTYPE`, one `PPO.step` a turn.

Invariant: the same loss as the other side's, GRPO's clipped ratio to the behaviour log-probabilities, averaged over
tokens, and the same optimizer; all else is the learner's default. A step's time includes packing the rows.
"""

import sys
import time
from pathlib import Path

import numpy as np
from trl_samples import Groups, read_groups
from turns import Turns

from infra.settings.tree import Settings
from trainer.step.batch import pack_batch
from trainer.step.trajectory import Trajectory
from trainer.weights.build_models import build_ppo

LEARNER = {
    "advantage": "centred",  # the two divide by different standard deviations, of the sample and of the population
    "value": {"kind": "none"},
    "objective": {"proximal": "behaviour"},
    "minibatches": 1,  # one update a batch is TRL's default
    "warmup_steps": 0,
}


def main(model: Path, samples: Path, threads: int, dtype: str) -> None:
    turns = Turns()
    settings = Settings.model_validate({"learner": LEARNER | {"threads": threads, "autocast": dtype == "bfloat16"}})
    ppo = build_ppo(settings, model)
    members = trajectories(read_groups(samples))
    version = 0
    while turns.wait():
        started = time.perf_counter()
        report = ppo.step(pack_batch(members, settings.learner.packed_row_tokens), version, seed=0)
        seconds = time.perf_counter() - started
        turns.reply(seconds=seconds, loss=report.policy_loss, gradient_norm=report.policy_gradient_norm)
        version += 1


def trajectories(groups: Groups) -> list[list[Trajectory]]:
    return [
        [
            Trajectory(
                prompt=np.array(sample.prompt, np.int32),
                tokens=np.array(sample.response, np.int32),
                by_policy=np.ones(len(sample.response), np.bool_),
                logprobs=np.array(sample.logprobs, np.float32),
                versions=np.zeros(len(sample.response), np.int32),
                score=sample.score,
                temperature=1.0,
                domain="",
            )
            for sample in group
        ]
        for group in groups
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
