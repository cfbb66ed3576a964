"""Scalars under their logged names (infra/scalars), from a step's line and from an evaluation's means."""

import math
from collections.abc import Mapping
from typing import Any

from infra.scalars import SCALARS, LearningMetrics


def scalars_of_step(line: Mapping[str, Any]) -> dict[str, float]:
    """`line` is a line of steps.jsonl. Leaves out what the step did not measure and what is not finite."""
    return {
        row.logged_as(label): float(value)
        for row in SCALARS
        if row.logged
        for label, value in row.values(line).items()
        if math.isfinite(value)
    }


def scalars_of_evaluation(means: Mapping[str, float]) -> dict[str, float]:
    """`means`: mean score by domain, and `overall`."""
    return {LearningMetrics.heldout_score.logged_as(domain): mean for domain, mean in means.items()}
