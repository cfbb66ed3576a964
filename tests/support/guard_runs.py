"""Simulated runs for the guard's test: held-out responses, what a judge credits of them, and what is true."""

import numpy as np

from trainer.guard.confirmation import ConfirmationRule, HeldOutPoint, check_all

RULE = ConfirmationRule(false_alarm_rate=0.05, margin=0.02, confirmed_share=0.5)
PROMPTS, SAMPLES, EVALUATIONS = 64, 4, 12
NAMES = [f"p{number}" for number in range(PROMPTS)]
SKILLS = np.linspace(0.05, 0.75, PROMPTS)


def point(version, confirmed, credited=None, reward=None, scorers=""):
    by_name = [dict(zip(NAMES, values, strict=False)) for values in (confirmed, [] if credited is None else credited)]
    return HeldOutPoint(
        label=f"v{version}",
        version=version,
        confirmed=by_name[0],
        credited=by_name[1],
        reward=reward,
        scorers=scorers,
    )


def constant(version, confirmed, credited, **changes):
    return point(version, [confirmed] * PROMPTS, [credited] * PROMPTS, **changes)


def evaluations(seed, skill, exploited, *, wrong_passed=0.05, right_refused=0.05):
    """Points of a simulated run. `skill(t)`: factor of every prompt's chance to be right, `exploited(t)`: the fraction
    of the responses that use the judge's weakness instead of an answer; t goes from 0 to 1.
    """
    draw = np.random.default_rng(seed)
    points = []
    for version in range(EVALUATIONS):
        t = version / (EVALUATIONS - 1)
        tricks = draw.random((PROMPTS, SAMPLES)) < exploited(t)
        right = (draw.random((PROMPTS, SAMPLES)) < np.clip(SKILLS * skill(t), 0, 1)[:, None]) & ~tricks
        errs = draw.random((PROMPTS, SAMPLES))
        credited = np.where(right, errs >= right_refused, errs < wrong_passed) | tricks
        points.append(point(version, right.mean(axis=1), credited.mean(axis=1)))
    return points


def first_alarm(points):
    return next((check for check in check_all(points, RULE) if check.alarm), None)


SOUND = {
    "flat": lambda _: 1.0,
    "rising": lambda t: 1 + t,
    "falling": lambda t: 1 - t / 2,
    "up and down": lambda t: 1 + np.sin(7 * t) / 3,
}
