"""Weights of the domains in dispatch, constant or changing with the step.

Invariant: a share that loads has a weight at every step: between two points it is on the line through them, before the
first and after the last it is theirs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from infra.settings.section import AllowedValues

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SharePoint = tuple[Annotated[int, Field(ge=0)], Weight]
"""A policy version, and the weight at it."""


def _checked(points: tuple[SharePoint, ...]) -> tuple[SharePoint, ...]:
    if not points:
        raise ValueError("there is no point; [[0, 2.0]] is a constant")
    for (step, _), (following, _) in pairwise(points):
        if following <= step:
            raise ValueError(f"steps must rise from point to point, but {following} follows {step}")
    return points


def _form(value: Any) -> Literal["constant", "points"]:
    return "points" if isinstance(value, list | tuple) else "constant"


DomainShare = Annotated[
    Annotated[Weight, Tag("constant")] | Annotated[tuple[SharePoint, ...], AfterValidator(_checked), Tag("points")],
    Discriminator(_form),
    AllowedValues("number >= 0, or list of [step, number >= 0] with rising steps"),
]
"""Points are a list and not a table, so that a recipe or option that names a domain replaces all of its points."""


def share_at(share: float | tuple[SharePoint, ...], step: int) -> float:
    """The weight at a step."""
    if not isinstance(share, tuple):
        return share
    after = bisect_right(share, step, key=lambda point: point[0])
    if after == 0:
        return share[0][1]
    if after == len(share):
        return share[-1][1]
    (left, low), (right, high) = share[after - 1], share[after]
    return low + (high - low) * (step - left) / (right - left)


def fractions_at(
    shares: Mapping[str, float | tuple[SharePoint, ...]], step: int, domains: Iterable[str]
) -> dict[str, float]:
    """The fraction of the groups that each domain is asked to get at a step, if these domains have prompts. A domain
    without a share weighs 1. All are 0 if no domain has a weight.
    """
    weights = {domain: share_at(shares.get(domain, 1.0), step) for domain in domains}
    total = sum(weights.values())
    return {domain: weight / total if total else 0.0 for domain, weight in weights.items()}
