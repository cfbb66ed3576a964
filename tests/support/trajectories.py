"""A response to train on, in one line."""

import numpy as np

from trainer.step.trajectory import Trajectory


def trajectory(prompt, tokens, *, by_policy=None, score=1.0, temperature=1.0):
    by_policy = by_policy or [True] * len(tokens)
    made = sum(by_policy)
    return Trajectory(
        prompt=np.array(prompt, np.int32),
        tokens=np.array(tokens, np.int32),
        by_policy=np.array(by_policy, np.bool_),
        logprobs=np.full(made, -1.0, np.float32),
        versions=np.zeros(made, np.int32),
        score=score,
        temperature=temperature,
        domain="d",
    )
