"""One PPO step: advantages from scores, clipped policy loss, value loss, mini-batches of whole packed rows.

Invariant: a step is a function of (weights, optimizer state, batch, seed, version); nothing else is drawn or read.
The behaviour log-probabilities are the engine's; the learner never recomputes them.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from trainer.advantages import gae, group_advantages, whiten
from trainer.batch import TrainingBatch, TrainingRow
from trainer.losses import ppo_policy_loss, value_loss
from trainer.models import ValueModel, autocast, policy_forward


@dataclass(frozen=True, slots=True)
class Targets:
    """What the losses aim at, [B trajectories, T policy tokens], float32."""

    advantages_BT: Tensor
    returns_BT: Tensor | None
    values_BT: Tensor | None
    """Values before the step; None without a value model."""
    explained_variance: float | None


@dataclass(slots=True)
class StepReport:
    """Means over the step's target tokens, and seconds by phase."""

    policy_loss: float = 0.0
    value_loss: float = 0.0
    entropy: float = 0.0
    clip_share: float = 0.0
    ratio: float = 0.0
    policy_gradient_norm: float = 0.0
    value_gradient_norm: float = 0.0
    logprob_difference_mean: float | None = None
    """Engine against learner, over tokens of the held version, before any update; None where there is none."""
    logprob_difference_max: float | None = None
    explained_variance: float | None = None
    targets: int = 0
    tokens: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


class PPO:
    """Holds the policy, the value model and their optimizers."""

    def __init__(self, policy: Any, value: ValueModel | None, settings: LearnerSettings) -> None:
        self.policy = policy
        self.value = value
        self._settings = settings
        self.policy_optimizer = _adamw(policy.parameters(), settings.learning_rate, settings)
        self.value_optimizer = (
            None if value is None else _adamw(value.parameters(), settings.value.learning_rate, settings)
        )

    def step(self, batch: TrainingBatch, version: int, seed: int) -> StepReport:
        """Train on `batch`, taking the policy from `version` to `version + 1`."""
        report = StepReport(targets=batch.targets, tokens=batch.tokens)
        clock = time.monotonic()
        targets = self._targets(batch)
        report.explained_variance = targets.explained_variance
        report.seconds["advantages"] = time.monotonic() - clock
        self._warm_up(version)
        minibatches = split_rows(batch.rows, self._settings.minibatches, random.Random(f"{seed}:{version}"))
        for number, rows in enumerate(minibatches):
            self._minibatch(rows, targets, report, held=version if number == 0 else None)
        for name in ("policy_loss", "value_loss", "entropy", "clip_share", "ratio"):
            setattr(report, name, getattr(report, name) / max(report.targets, 1))
        report.policy_gradient_norm /= max(len(minibatches), 1)
        report.value_gradient_norm /= max(len(minibatches), 1)
        report.seconds["optimise"] = time.monotonic() - clock - report.seconds["advantages"]
        return report

    def _minibatch(self, rows: Sequence[TrainingRow], targets: Targets, report: StepReport, held: int | None) -> None:
        count = sum(len(row.targets_N) for row in rows)
        differences: list[Tensor] = []
        for row in rows:
            loss, difference = self._row_loss(row, targets, report, held)
            differences.append(difference)
            (loss / count).backward()  # type: ignore[no-untyped-call]
        if held is not None and (all_N := torch.cat(differences)).numel():
            report.logprob_difference_mean = float(all_N.mean())
            report.logprob_difference_max = float(all_N.max())
        limit = self._settings.gradient_clip
        report.policy_gradient_norm += _apply(self.policy_optimizer, self.policy.parameters(), limit)
        if self.value is not None and self.value_optimizer is not None:
            report.value_gradient_norm += _apply(self.value_optimizer, self.value.parameters(), limit)

    def _row_loss(
        self, row: TrainingRow, targets: Targets, report: StepReport, held: int | None
    ) -> tuple[Tensor, Tensor]:
        """The row's loss, a sum over its targets, and |learner - engine| over the targets of version `held`."""
        settings = self._settings
        where = (row.trajectory_N, row.step_N)
        with autocast(enabled=settings.autocast):
            output = policy_forward(self.policy, row)
        policy = ppo_policy_loss(
            output.logprobs_N, row.behaviour_N, targets.advantages_BT[where], settings.clip_low, settings.clip_high
        )
        loss = policy.total
        report.policy_loss += float(policy.total.detach())
        report.entropy += float(output.entropy_N.sum())
        report.clip_share += float(policy.clipped)
        report.ratio += float(policy.ratio_sum)
        if self.value is not None and targets.values_BT is not None and targets.returns_BT is not None:
            with autocast(enabled=settings.autocast):
                values_N = self.value(row, output.hidden_ND)
            value = value_loss(values_N, targets.values_BT[where], targets.returns_BT[where], settings.value.clip)
            loss = loss + settings.value.coefficient * value
            report.value_loss += float(value.detach())
        fresh_N = row.versions_N == held if held is not None else torch.zeros_like(row.versions_N, dtype=torch.bool)
        return loss, (output.logprobs_N.detach() - row.behaviour_N)[fresh_N].abs()

    def _targets(self, batch: TrainingBatch) -> Targets:
        lengths = [len(trajectory.logprobs) for trajectory in batch.trajectories]
        if self._settings.advantage == "group":
            flat = torch.zeros(len(lengths))
            for members in batch.groups:
                scores = [batch.trajectories[i].score for i in members]
                flat[members] = torch.tensor(group_advantages(scores, self._settings.group_std_floor))
            advantages_BT = flat[:, None].expand(-1, max(lengths)).contiguous()
            if self.value is None:
                return Targets(advantages_BT, None, None, None)
            returns_BT, values_BT, explained = self._returns(batch, lengths)
            return Targets(advantages_BT, returns_BT, values_BT, explained)
        return self._gae_targets(batch, lengths)

    def _gae_targets(self, batch: TrainingBatch, lengths: list[int]) -> Targets:
        settings = self._settings
        returns_BT, values_BT, explained = self._returns(batch, lengths)
        mask_BT = _mask(lengths)
        advantages_BT = gae(_rewards(batch, lengths), values_BT, mask_BT, settings.gamma, settings.lambda_policy)
        real = mask_BT.bool()
        advantages_BT[real] = whiten(advantages_BT[real])
        return Targets(advantages_BT, returns_BT, values_BT, explained)

    @torch.no_grad()
    def _returns(self, batch: TrainingBatch, lengths: list[int]) -> tuple[Tensor, Tensor, float]:
        """Lambda-returns [B, T], values [B, T], and the share of the returns' variance that the values explain."""
        if self.value is None:
            raise ValueError("learner.advantage = 'gae' needs a value model")
        values_BT = torch.zeros(len(lengths), max(lengths))
        for row in batch.rows:
            with autocast(enabled=self._settings.autocast):
                hidden_ND = None if self.value.trunk is not None else policy_forward(self.policy, row).hidden_ND
                values_BT[row.trajectory_N, row.step_N] = self.value(row, hidden_ND)
        mask_BT = _mask(lengths)
        settings = self._settings
        returns_BT = values_BT + gae(
            _rewards(batch, lengths), values_BT, mask_BT, settings.gamma, settings.lambda_value
        )
        real = mask_BT.bool()
        spread = float(returns_BT[real].var(unbiased=False))
        error = float((returns_BT[real] - values_BT[real]).var(unbiased=False))
        return returns_BT, values_BT, 1 - error / spread if spread > 0 else 0.0

    def _warm_up(self, version: int) -> None:
        share = min(1.0, (version + 1) / self._settings.warmup_steps) if self._settings.warmup_steps else 1.0
        _set_rate(self.policy_optimizer, self._settings.learning_rate * share)
        if self.value_optimizer is not None:
            _set_rate(self.value_optimizer, self._settings.value.learning_rate * share)


def split_rows(rows: Sequence[TrainingRow], parts: int, draw: random.Random) -> list[list[TrainingRow]]:
    """At most `parts` mini-batches of whole rows, none empty, with near-equal numbers of targets."""
    order = list(rows)
    draw.shuffle(order)
    order.sort(key=lambda row: -len(row.targets_N))  # stable: ties stay in drawn order
    bins: list[list[TrainingRow]] = [[] for _ in range(min(parts, len(order)))]
    for row in order:
        min(bins, key=lambda members: sum(len(member.targets_N) for member in members)).append(row)
    draw.shuffle(bins)
    return bins


def _rewards(batch: TrainingBatch, lengths: list[int]) -> Tensor:
    """The score at each trajectory's last policy token, [B, T]."""
    rewards_BT = torch.zeros(len(lengths), max(lengths))
    last = torch.tensor(lengths) - 1
    rewards_BT[torch.arange(len(lengths)), last] = torch.tensor([t.score for t in batch.trajectories])
    return rewards_BT


def _mask(lengths: list[int]) -> Tensor:
    return (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).float()


def _adamw(parameters: Any, rate: float, settings: LearnerSettings) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=rate, betas=settings.betas, weight_decay=settings.weight_decay, fused=True)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _apply(optimizer: torch.optim.Optimizer, parameters: Any, limit: float) -> float:
    """Clip, step, clear; returns the gradient norm before clipping."""
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
