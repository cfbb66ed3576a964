"""One PPO step: compute advantages and returns, then update policy and value model once per mini-batch of packed rows.

Invariants:
- A step is a function of (weights, optimizer state, batch, seed, version); no other random number or input enters it.
- The behaviour log-probabilities are the engine's; the learner never recomputes them.
- An update whose gradient is not finite changes nothing and is reported.
- If several processes train, all of them call `step` with the same outline. Each has and computes the rows that the
  plan assigns to it (`trainer.step.row_plan`); reduced results and decisions are the same in every process.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from infra.settings.learner import LearnerSettings
from trainer.step import shaping
from trainer.step.advantages.estimate import Targets, estimate
from trainer.step.batch import TrainingBatch, TrainingRow
from trainer.step.language_models import PolicyOutput, ValueModel, autocast, device_of, policy_forward, value_forward
from trainer.step.no_grad import NoGradOutputs, StepModels, compute_no_grad
from trainer.step.objectives.averaging import Counts, coefficients
from trainer.step.objectives.policy import Tokens, policy_loss
from trainer.step.objectives.value import value_error
from trainer.step.optimizer import Optimizer
from trainer.step.report import MetricSums, SkippedUpdate, StepReport
from trainer.step.row_partition import AllRows, RowPartition
from trainer.step.row_plan import RowPlan, plan_rows


@dataclass(frozen=True, slots=True)
class _StepPlan:
    """The inputs and results that all mini-batches of a step share."""

    batch: TrainingBatch
    rows: RowPlan
    held: dict[int, TrainingRow]
    """The rows that this process has, by number."""
    no_grad: NoGradOutputs
    targets: Targets
    loss_mask_B: Tensor
    positive_B: Tensor
    value_only: bool
    version: int
    metrics: MetricSums


@dataclass(frozen=True, slots=True)
class _Minibatch:
    """One mini-batch, with the token and sequence counts that normalise its losses."""

    number: int
    rows: list[int]
    """Numbers of its rows."""
    counts: Counts
    positive_counts: Counts


class PPO:
    """Holds the policy, the value model, their optimizers, and the frozen reference model if there is one."""

    def __init__(
        self,
        policy: Any,
        value: ValueModel | None,
        settings: LearnerSettings,
        reference: Any | None = None,
        partition: RowPartition | None = None,
    ) -> None:
        self.policy = policy
        self.value = value
        self.reference = reference
        self.skips_in_a_row = 0
        """Consecutive skipped updates, including the latest."""
        self.before_update: Callable[[], None] = lambda: None
        """Called just before an optimizer step; blocks until background jobs have finished reading the weights."""
        self._settings = settings
        self._partition: RowPartition = partition or AllRows()
        self._autocast = partial(autocast, enabled=settings.autocast, device=device_of(policy))
        self.policy_optimizer = Optimizer(policy.named_parameters(), settings.learning_rate, settings)
        self.value_optimizer = (
            None if value is None else Optimizer(value.named_parameters(), settings.value.learning_rate, settings)
        )

    def step(self, batch: TrainingBatch, version: int, seed: int) -> StepReport:
        """Trains on `batch`, which takes the policy from `version` to `version + 1`."""
        report = StepReport(targets=batch.targets, tokens=batch.tokens)
        clock = time.monotonic()
        plan = self._plan(batch, version, seed, report)
        report.seconds["advantages"] = time.monotonic() - clock
        self._warm_up(version)
        for number, rows in enumerate(plan.rows.minibatches):
            mask_B = plan.loss_mask_B
            counts, positive = (_counts(rows, batch, kept_B) for kept_B in (mask_B, mask_B & plan.positive_B))
            self._train_minibatch(_Minibatch(number, rows, counts, positive), plan, report)
        plan.metrics.write_means(report)
        report.seconds["optimise"] = time.monotonic() - clock - report.seconds["advantages"]
        return report

    def _plan(self, batch: TrainingBatch, version: int, seed: int, report: StepReport) -> _StepPlan:
        settings = self._settings
        loss_mask_B = shaping.loss_mask(batch.outline, settings.overlong)
        scores_B = shaping.shaped_scores(batch.outline, settings.overlong)
        rows = plan_rows(batch.outline, settings, version=version, seed=seed, processes=self._partition.size)
        value_only = self.value is not None and version < settings.value.pretrain_steps
        no_grad = compute_no_grad(
            batch,
            rows,
            StepModels(self.policy, self.value, self.reference),
            () if value_only else self._early_proximal_rows(rows),
            partition=self._partition,
            settings=settings,
        )
        targets = estimate(batch, scores_B, loss_mask_B, no_grad, settings, value_only=value_only)
        report.explained_variance = targets.explained_variance
        report.shaped_reward = float(scores_B.mean())
        report.masked_fraction = 1 - float(loss_mask_B.float().mean())
        report.value_only = value_only
        positive_B = torch.tensor([t.score >= settings.objective.positive_score for t in batch.responses])
        held = dict(zip(batch.numbers, batch.rows, strict=True))
        return _StepPlan(
            batch, rows, held, no_grad, targets, loss_mask_B, positive_B, value_only, version, MetricSums()
        )

    def _early_proximal_rows(self, plan: RowPlan) -> list[int]:
        """Numbers of the rows whose old log-probs (`proximal`) must be computed before the first update.

        The first mini-batch's training pass gives its own old log-probs, so its rows are not among them, unless V-trace
        needs them before.
        """
        if self._settings.objective.proximal == "behaviour":
            return []
        if self._settings.objective.weight == "vtrace":
            return list(range(len(plan.owners)))
        return [number for rows in plan.minibatches[1:] for number in rows]

    def _train_minibatch(self, minibatch: _Minibatch, plan: _StepPlan, report: StepReport) -> None:
        sums: dict[str, Tensor] = {}
        logprob_diffs: list[Tensor] = []
        for number, counted in plan.rows.passes(minibatch.rows, self._partition.rank):
            loss, measures, logprob_diff_N = self._row_loss(plan.held[number], minibatch, plan)
            (loss * (self._partition.gradient_scale if counted else 0.0)).backward()  # type: ignore[no-untyped-call]  # torch's
            if counted:
                logprob_diffs.append(logprob_diff_N)
            for name, value in measures.items():
                sums[name] = sums.get(name, 0.0) + value * counted
        if minibatch.number == 0:
            diffs_N = self._partition.all_gather(torch.cat([torch.empty(0), *logprob_diffs]))
            if len(diffs_N):
                report.logprob_diff_mean = float(diffs_N.mean())
                report.logprob_diff_max = float(diffs_N.max())
        norms = self._update(minibatch, plan, report)
        if norms is not None:
            plan.metrics.add(self._partition.all_reduce_sum(sums), minibatch.counts.tokens, norms)

    def _update(self, minibatch: _Minibatch, plan: _StepPlan, report: StepReport) -> dict[str, float] | None:
        """Applies the gradients of all models, or of none if any is not finite.

        Returns the gradient norms before clipping, or None if the update was skipped.
        """
        self.before_update()
        optimizers = {"value_gradient_norm": self.value_optimizer} if self.value_optimizer is not None else {}
        if not plan.value_only:
            optimizers = {"policy_gradient_norm": self.policy_optimizer, **optimizers}
        tensors = {name: optimizer.gradient_norm() for name, optimizer in optimizers.items()}
        norms = {name: float(norm) for name, norm in tensors.items()}
        if all(math.isfinite(norm) for norm in norms.values()):
            for name, optimizer in optimizers.items():
                optimizer.apply(tensors[name])
            self.skips_in_a_row = 0
            return norms
        for optimizer in optimizers.values():
            optimizer.discard()
        self.skips_in_a_row += 1
        report.skipped.append(
            SkippedUpdate(
                minibatch=minibatch.number,
                groups=_groups_in(minibatch.rows, plan.batch),
                policy_gradient_norm=norms.get("policy_gradient_norm", 0.0),
                value_gradient_norm=norms.get("value_gradient_norm", 0.0),
            )
        )
        return None

    def _row_loss(
        self, row: TrainingRow, minibatch: _Minibatch, plan: _StepPlan
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Returns three results for a row: its part of the mini-batch's loss; metrics as sums over its tokens; and
        |learner - engine| log-prob differences of the responses that the step's first version sampled whole.
        """
        output = self._policy_output(row, plan)
        loss = torch.zeros(())
        measures: dict[str, Tensor] = {}
        logprob_diff_N = torch.empty(0)
        if output is not None and not plan.value_only:
            policy = policy_loss(self._tokens(row, output, minibatch, plan), self._settings)
            loss = policy.total
            measures = policy.sums | {name: value * minibatch.counts.tokens for name, value in policy.averages.items()}
        if output is not None:
            whole_N = _sampled_whole(row, plan.version)
            logprob_diff_N = (output.logprobs_N.detach() - row.behaviour_N)[whole_N].abs()
        if self.value is not None:
            error = self._value_loss(self.value, row, output, minibatch, plan)
            loss = loss + self._settings.value.coefficient * error
            measures["value_loss"] = error.detach() * minibatch.counts.tokens
        return loss, measures, logprob_diff_N

    def _policy_output(self, row: TrainingRow, plan: _StepPlan) -> PolicyOutput | None:
        """The policy's forward pass, or None if only a value model with its own trunk is trained."""
        if plan.value_only and (self.value is None or self.value.trunk is not None):
            return None
        with torch.set_grad_enabled(not plan.value_only), self._autocast():
            return policy_forward(
                self.policy,
                row,
                entropy_gradient=self._settings.objective.entropy > 0,
                logits_chunk_tokens=self._settings.logits_chunk_tokens,
            )

    def _tokens(self, row: TrainingRow, output: PolicyOutput, minibatch: _Minibatch, plan: _StepPlan) -> Tokens:
        objective, no_grad = self._settings.objective, plan.no_grad
        where = (row.trajectory_N, row.step_N)
        positive_B = plan.loss_mask_B & plan.positive_B
        if objective.proximal == "behaviour":
            proximal_N = row.behaviour_N
        elif minibatch.number == 0:
            proximal_N = output.logprobs_N.detach()
        else:
            assert no_grad.proximal_BT is not None
            proximal_N = no_grad.proximal_BT[where]
        return Tokens(
            logprobs_N=output.logprobs_N,
            entropy_N=output.entropy_N,
            behaviour_N=row.behaviour_N,
            proximal_N=proximal_N,
            reference_N=None if no_grad.reference_BT is None else no_grad.reference_BT[where],
            advantages_N=plan.targets.advantages_BT[where],
            coefficients_N=coefficients(
                row, plan.loss_mask_B, minibatch.counts, objective.average, objective.average_tokens
            ),
            positive_N=coefficients(row, positive_B, minibatch.positive_counts, "token", 0),
            trajectory_N=row.trajectory_N,
        )

    def _value_loss(
        self, value: ValueModel, row: TrainingRow, output: PolicyOutput | None, minibatch: _Minibatch, plan: _StepPlan
    ) -> Tensor:
        """The row's part of the mean value loss over the mini-batch's tokens. It is not clipped in pre-training, when
        no policy depends on the values yet.
        """
        targets, where = plan.targets, (row.trajectory_N, row.step_N)
        assert targets.values_BT is not None
        assert targets.returns_BT is not None
        with self._autocast():
            values_N = value_forward(value, row, None if output is None else output.hidden_ND)
        clip = 0.0 if plan.value_only else self._settings.value.clip
        error_N = value_error(values_N, targets.values_BT[where], targets.returns_BT[where], clip)
        return (coefficients(row, plan.loss_mask_B, minibatch.counts, "token", 0) * error_N).sum()

    def _warm_up(self, version: int) -> None:
        settings = self._settings
        _set_warm_rate(self.policy_optimizer, settings.learning_rate, version - settings.value.pretrain_steps, settings)
        if self.value_optimizer is not None:
            _set_warm_rate(self.value_optimizer, settings.value.learning_rate, version, settings)


def _counts(rows: Sequence[int], batch: TrainingBatch, kept_B: Tensor) -> Counts:
    """Counts of the rows' responses that `kept_B` keeps."""
    found = [index for number in rows for index in batch.outline.rows[number].trajectories]
    return Counts.of([batch.responses[index].targets for index in found], kept_B[found].tolist())


def _groups_in(rows: Sequence[int], batch: TrainingBatch) -> tuple[int, ...]:
    found = {index for number in rows for index in batch.outline.rows[number].trajectories}
    return tuple(number for number, members in enumerate(batch.groups) if found & set(members))


def _set_warm_rate(optimizer: Optimizer, rate: float, done: int, settings: LearnerSettings) -> None:
    """Sets the learning rate after `done` steps of this model: linear warm-up over its first steps, then `rate`."""
    fraction = min(1.0, (max(done, 0) + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    optimizer.set_rate(rate * fraction)


def _sampled_whole(row: TrainingRow, version: int) -> Tensor:
    """Which of the N targets are of responses that `version` sampled from the first token to the last.

    A response that met an update on its way was sampled over keys and values of the older weights, so its log-probs
    differ for that reason, too, and say nothing about whether engine and learner compute the same.
    """
    if not len(row.versions_N):
        return row.known_weights_N
    oldest = row.versions_N.new_full((int(row.trajectory_N.max()) + 1,), version)
    oldest.scatter_reduce_(0, row.trajectory_N, row.versions_N, "amin")
    return row.known_weights_N & (oldest[row.trajectory_N] == version) & (row.versions_N == version)
