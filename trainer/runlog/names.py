"""From a step's line and an evaluation's means to scalars by their logged names (infra/scalars)."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

_PLAIN = (
    "entropy", "clip_fraction", "ratio", "importance_weight", "importance_clip_fraction", "kl", "explained_variance",
    "masked_fraction", "response_tokens", "groups", "trajectories",
)  # fmt: skip


def scalars_of_step(line: Mapping[str, Any]) -> dict[str, float]:
    """`line` is one of steps.jsonl. What a step did not measure, or is no finite number, is left out."""
    named: dict[str, Any] = {
        "reward/all": line["reward"],
        "reward_shaped": line["shaped_reward"],
        "loss/policy": line["policy_loss"],
        "loss/value": line["value_loss"],
        "loss/positive_nll": line["nll_loss"],
        "gradient_norm/policy": line["policy_gradient_norm"],
        "gradient_norm/value": line["value_gradient_norm"],
        "logprob_diff/mean": line["logprob_diff_mean"],
        "logprob_diff/max": line["logprob_diff_max"],
        "staleness/mean": fmean(line["staleness"]),
        "staleness/max": max(line["staleness"]),
        "token_staleness/mean": line["token_staleness"],
        "tokens/target": line["targets"],
        "tokens/computed": line["tokens"],
        "skipped_updates": len(line["skipped"]),
    }
    named |= {name: line[name] for name in _PLAIN}
    named |= {f"reward/{domain}": reward for domain, reward in line["rewards"].items()}
    named |= {f"token_staleness/{name}": age for name, age in line["token_staleness_quantiles"].items()}
    named |= {f"seconds/{phase}": seconds for phase, seconds in line["seconds"].items()}
    return {name: float(value) for name, value in named.items() if value is not None and math.isfinite(value)}


def scalars_of_evaluation(means: Mapping[str, float]) -> dict[str, float]:
    """By domain and `overall`."""
    return {f"heldout/{domain}": mean for domain, mean in means.items()}
