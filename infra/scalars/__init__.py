"""Every scalar that the project exports, with its meaning and its healthy range.

A new metric takes one row in `learning`, `flow`, `scoring` or `hacking`, a panel on the dashboard, and the code that
measures it.
"""

import re
from typing import Any

from infra.scalars.flow import FlowMetrics
from infra.scalars.hacking import HackingMetrics
from infra.scalars.learning import LearningMetrics
from infra.scalars.row import OnlyLogged, Scalar
from infra.scalars.scoring import ScoringMetrics

SECTIONS: dict[str, tuple[Scalar[Any], ...]] = {
    section.__name__.removesuffix("Metrics"): tuple(row for row in vars(section).values() if isinstance(row, Scalar))
    for section in (LearningMetrics, FlowMetrics, ScoringMetrics, HackingMetrics)
}
SCALARS = tuple(row for rows in SECTIONS.values() for row in rows)

_BY_LOGGED = [
    (re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", row.logged)))), row)
    for row in sorted(SCALARS, key=lambda row: "{" in row.logged)  # `reward/all` before `reward/{domain}`
    if row.logged
]


def of_logged(name: str) -> Scalar[Any]:
    """Returns the row of a logged name such as `loss/policy`. Raises KeyError if there is none."""
    for pattern, row in _BY_LOGGED:
        if pattern.fullmatch(name):
            return row
    raise KeyError(f"{name} is not in the table of scalars (infra/scalars)")


__all__ = [
    "SCALARS",
    "SECTIONS",
    "FlowMetrics",
    "HackingMetrics",
    "LearningMetrics",
    "OnlyLogged",
    "Scalar",
    "ScoringMetrics",
    "of_logged",
]
