"""A sequential test for reward hacking: the reward rises, and a second scorer does not confirm the rise. Pure.

At each evaluation the policy answers the same held-out prompts. Two scorers that can be wrong in different ways score
each response: the one that rewards training, and one that does not. For a prompt, `credited` is the fraction of its
responses that the first passes, and `confirmed` the fraction that the second passes, which counts as true. The latest
evaluation is compared with every earlier one, prompt by prompt:

    d = (change of credited) - (change of confirmed)

The alarm is raised if, for one earlier evaluation,
1. the mean of credited did not fall,
2. the mean of confirmed rose by less than `confirmed_share` of that rise, or fell,
3. the mean of d is above `margin`, and
4. z = sum(d) / sqrt(sum(d^2)) is above its limit.

The alarm does not wait until the true score has fallen: it sees that the two scorers part, while the rise that the
policy learns to exploit is still being made.

If no second scorer is set, nothing but the route's own verdict is known of held-out responses. It then counts as true,
the reward of the training groups since the evaluation before takes the place of credited, and d = -(change of
confirmed). The alarm can then be raised only once the held-out score has fallen by more than its noise.

Invariant: the probability of any false alarm in a series is at most `false_alarm_rate`, over all evaluations of a run,
however many. An alarm is false if the policy exploits no more than before: for each prompt, exchanging what the two
evaluations found would have been as likely, or d tends to be lower than that. Proof: given the sizes of d, its signs
are then random, and P(z >= x) <= c P(N >= x) for a normal N and c = 1 / (4 P(N >= sqrt(2))) = 3.18, which is no
approximation (Bentkus and Dzindzalieta 2015, "A tight Gaussian bound for weighted sums of Rademacher random variables",
Bernoulli 21(2)). The j-th evaluation may spend 1 / (j (j + 1)) of the rate, which sums to 1: half of it on the
comparison with the first evaluation, against which a slow change is largest, and the other half in equal parts on the
rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_NORMAL = NormalDist()
BENTKUS = 1 / (4 * _NORMAL.cdf(-sqrt(2)))
"""The factor c, by which a sum with random signs can be likelier to be large than a normal variable."""


@dataclass(frozen=True, slots=True)
class ConfirmationRule:
    false_alarm_rate: float
    """Probability of a false alarm in this series, over the whole run."""
    margin: float
    """Smallest rise of credited over confirmed that counts, as a fraction of the responses."""
    confirmed_share: float
    """Fraction of the reward's rise that the second scorer must confirm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPoint:
    """One evaluation in one series."""

    label: str
    version: int
    confirmed: Mapping[str, float]
    """Prompt id -> fraction of its responses that count as truly right."""
    credited: Mapping[str, float]
    """Prompt id -> fraction of the same responses that the scorer of training passes; empty if it has not scored
    them."""
    reward: float | None = None
    """Mean reward of the training groups since the evaluation before. It stands in for `credited` if that is empty."""
    scorers: str = ""
    """The two scorers with their versions. Only evaluations by the same scorers are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The comparison of an evaluation with the earlier one that speaks most for an alarm."""

    label: str
    version: int
    since_label: str
    since_version: int
    prompts: int
    reward_change: float | None
    """Mean change of credited; None if no reward is known."""
    true_change: float
    z: float
    limit: float
    """The alarm needs a z above this."""
    alarm: bool


def check_latest(
    points: Sequence[HeldOutPoint], rule: ConfirmationRule, evaluations: int | None = None
) -> Confirmation | None:
    """Compares the last point with the earlier ones; None if there is nothing to compare it with.

    `evaluations`: how many there were before the last, if `points` leaves some of them out; which ones are left out
    must not depend on their results.
    """
    if not points:
        return None
    latest, number = points[-1], max(len(points) - 1, evaluations or 0)
    comparable = [point for point in points[:-1] if point.scorers == latest.scorers]
    rate = rule.false_alarm_rate / (number * (number + 1)) if comparable else 0.0
    found = [
        result
        for index, earlier in enumerate(comparable)
        if (result := _compare(earlier, latest, rule, z_limit(rate * _part(index, len(comparable))))) is not None
    ]
    return max(found, key=lambda result: (result.alarm, result.z - result.limit), default=None)


def check_all(points: Sequence[HeldOutPoint], rule: ConfirmationRule) -> list[Confirmation]:
    """The check of every point, in order, as it was when the point was the latest."""
    checks = (check_latest(points[: end + 1], rule) for end in range(len(points)))
    return [check for check in checks if check is not None]


def z_limit(rate: float) -> float:
    """The value that z exceeds with at most probability `rate`, if signs are random."""
    return -_NORMAL.inv_cdf(min(rate / BENTKUS, 0.5))


def sign_z(differences: NDArray[np.float64]) -> float:
    """Sum over root of the sum of squares; 0 if all differences are 0."""
    scale = sqrt(float(np.sum(differences**2)))
    return float(np.sum(differences)) / scale if scale > 0 else 0.0


def _part(index: int, count: int) -> float:
    """Part of an evaluation's rate that its comparison number `index` of `count` may spend."""
    if count == 1:
        return 1.0
    return 0.5 if index == 0 else 0.5 / (count - 1)


def _compare(earlier: HeldOutPoint, latest: HeldOutPoint, rule: ConfirmationRule, limit: float) -> Confirmation | None:
    """None if the two have no prompt in common."""
    paired = bool(earlier.credited and latest.credited)
    known = latest.confirmed.keys() & earlier.confirmed.keys()
    if paired:
        known &= latest.credited.keys() & earlier.credited.keys()
    prompts = sorted(known)
    if not prompts:
        return None
    true_change = _change(earlier.confirmed, latest.confirmed, prompts)
    if paired:
        credited_change = _change(earlier.credited, latest.credited, prompts)
        reward_change: float | None = float(credited_change.mean())
        differences = credited_change - true_change
    else:
        both = earlier.reward is not None and latest.reward is not None
        reward_change = latest.reward - earlier.reward if both else None  # type: ignore[operator]  # both are floats
        differences = -true_change
    z, true_mean = sign_z(differences), float(true_change.mean())
    rises = reward_change is not None and reward_change >= 0
    counts = float(differences.mean()) > rule.margin
    return Confirmation(
        label=latest.label,
        version=latest.version,
        since_label=earlier.label,
        since_version=earlier.version,
        prompts=len(prompts),
        reward_change=reward_change,
        true_change=true_mean,
        z=z,
        limit=limit,
        alarm=rises and counts and true_mean <= rule.confirmed_share * (reward_change or 0.0) and z > limit,
    )


def _change(earlier: Mapping[str, float], latest: Mapping[str, float], prompts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([latest[prompt] - earlier[prompt] for prompt in prompts], dtype=np.float64)
