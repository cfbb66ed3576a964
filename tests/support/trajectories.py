"""A response to train on, in one line."""

from trainer.step.batch import Trajectory


def trajectory(prompt, tokens, *, by_policy=None, score=1.0, temperature=1.0):
    by_policy = by_policy or [True] * len(tokens)
    made = sum(by_policy)
    return Trajectory(
        prompt=tuple(prompt),
        tokens=tuple(tokens),
        by_policy=tuple(by_policy),
        logprobs=(-1.0,) * made,
        versions=(0,) * made,
        score=score,
        temperature=temperature,
        domain="d",
    )
