"""Every scalar that the project exports, with its meaning and its healthy range: one table for Prometheus' help texts,
TensorBoard's and W&B's names, and the page that is made of it.
"""

import re

from infra.scalars.flow import FLOW
from infra.scalars.learning import LEARNING
from infra.scalars.scoring import SCORING
from infra.scalars.table import Scalar

SECTIONS = {"Learning": LEARNING, "Flow": FLOW, "Scoring": SCORING}
SCALARS = tuple(scalar for section in SECTIONS.values() for scalar in section)

_BY_METRIC = {scalar.metric: scalar for scalar in SCALARS if scalar.metric}
_LOGGED = [
    (re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", scalar.logged)))), scalar)
    for scalar in SCALARS
    if scalar.logged
]


def of_metric(name: str) -> Scalar:
    """By its name without the prefix. Raises KeyError."""
    return _BY_METRIC[name]


def of_logged(name: str) -> Scalar:
    """The scalar that a logged name, as `loss/policy`, belongs to. Raises KeyError."""
    for pattern, scalar in _LOGGED:
        if pattern.fullmatch(name):
            return scalar
    raise KeyError(f"{name} is not in the table of scalars (infra/scalars)")


__all__ = ["SCALARS", "SECTIONS", "Scalar", "of_logged", "of_metric"]
