"""Tokens of a few responses with drawn log-probabilities, and the row that they lie in."""

import torch

from infra.settings.learner import LearnerSettings, ValueSettings
from infra.settings.objective import KLSettings, ObjectiveSettings
from support.trajectories import trajectory
from trainer.step.batch import TrainingRow, pack_batch
from trainer.step.objectives.averaging import Counts, coefficients
from trainer.step.objectives.policy import Tokens

LENGTHS = (3, 5, 2, 4)


def row_of(lengths=LENGTHS) -> TrainingRow:
    """Two groups in one row; a token's trajectory is its index in `lengths`."""
    members = [trajectory([1, 2], [3] * length) for length in lengths]
    return pack_batch([members[:2], members[2:]], 1024).rows[0]


def settings_of(objective=None, kl=None, **learner) -> LearnerSettings:
    plain = {"advantage": "group", "value": ValueSettings(kind="none")}
    return LearnerSettings(
        **{**plain, **learner}, objective=ObjectiveSettings(**(objective or {})), kl=KLSettings(**(kl or {}))
    )


def drawn_tokens(seed: int, settings: LearnerSettings, kept=(True,) * 4, good=(False,) * 4) -> Tokens:
    """Ratios and weights on both sides of every bound."""
    row = row_of()
    draw = torch.Generator().manual_seed(seed)
    n = len(row.targets_N)

    def normal(scale: float) -> torch.Tensor:
        return scale * torch.randn(n, generator=draw)

    proximal_N = -3 * torch.rand(n, generator=draw)
    loss_mask_B, positive_B = torch.tensor(kept), torch.tensor(good)
    objective = settings.objective
    counts, good_counts = Counts.of(LENGTHS, kept), Counts.of(LENGTHS, (loss_mask_B & positive_B).tolist())
    return Tokens(
        logprobs_N=(proximal_N + normal(0.5)).requires_grad_(),
        entropy_N=torch.rand(n, generator=draw).requires_grad_(),
        behaviour_N=proximal_N + normal(0.8),
        proximal_N=proximal_N,
        reference_N=proximal_N + normal(0.5),
        advantages_N=normal(1.0),
        coefficients_N=coefficients(row, loss_mask_B, counts, objective.average, objective.average_tokens),
        positive_N=coefficients(row, loss_mask_B & positive_B, good_counts, "token", 0),
        trajectory_N=row.trajectory_N,
    )
