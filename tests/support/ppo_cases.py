"""A PPO over the tiny policy, and batches whose behaviour log-probabilities are near the policy's own."""

import random

import numpy as np
import torch

from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from support.trajectories import trajectory
from trainer.step.batch import TrainingBatch, pack_batch
from trainer.step.language_models import ValueModel, load_causal_lm, policy_forward
from trainer.step.ppo import PPO
from trainer.step.trajectory import Trajectory

FAST = {"learning_rate": 1e-2, "warmup_steps": 0, "autocast": False}
GROUP = LearnerSettings.model_validate({**FAST, "advantage": "group", "value": {"kind": "none"}})
VALUE = LearnerSettings.model_validate({**FAST, "value": {"kind": "model", "learning_rate": 1e-2, "clip": 0}})


def changed(settings: LearnerSettings, **changes) -> LearnerSettings:
    """Sections as dicts, merged."""
    values = settings.model_dump()
    for name, value in changes.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    return LearnerSettings.model_validate(values)


def ppo_of(folder, settings, reference_folder=None) -> PPO:
    torch.manual_seed(0)
    policy = load_causal_lm(folder)
    reference = None
    if settings.kl.apply_to != "none":
        reference = load_causal_lm(reference_folder or folder).requires_grad_(requires_grad=False)
    if settings.value.kind == "none":
        return PPO(policy, None, settings, reference)
    trunk = load_causal_lm(folder).base_model if settings.value.kind == "model" else None
    return PPO(policy, ValueModel(policy.config.hidden_size, trunk), settings, reference)


def with_own_logprobs(policy, members: list[list[Trajectory]], noise: float = 0.0, seed: int = 0) -> TrainingBatch:
    """The batch as `policy` would have sampled it, or another whose log-probabilities differ by `noise`."""
    draw = random.Random(seed)
    rows = pack_batch(members, 4096).rows
    with torch.no_grad():
        own = policy_forward(policy, rows[0]).logprobs_N.tolist()
    found, start = [], 0
    for group in members:
        found.append([])
        for t in group:
            logprobs = np.array([p + draw.gauss(0, noise) for p in own[start : start + len(t.tokens)]], np.float32)
            start += len(t.tokens)
            found[-1].append(
                Trajectory(t.prompt, t.tokens, t.by_policy, logprobs, t.versions, t.score, 1.0, "d", t.limit, t.cut_off)
            )
    return pack_batch(found, 8)


def batch_of(ppo: PPO) -> TrainingBatch:
    """Two groups, one good and one bad answer each, with the policy's own log-probabilities."""
    return with_own_logprobs(
        ppo.policy,
        [
            [trajectory([1, 2, 3], [5, 6], score=1.0), trajectory([1, 2, 3], [7, 8, 9], score=0.0)],
            [trajectory([4], [10], score=0.0), trajectory([4], [11, 12], score=1.0)],
        ],
    )


def drawn_batch(policy, seed: int) -> TrainingBatch:
    """Three groups of three answers of one to six tokens, sampled by a policy that differs."""
    draw = random.Random(seed)
    members = []
    for _ in range(3):
        prompt = [draw.randrange(3, 90) for _ in range(draw.randint(1, 4))]
        answers = [[draw.randrange(3, 90) for _ in range(draw.randint(1, 6))] for _ in range(3)]
        members.append([trajectory(prompt, tokens, score=draw.random()) for tokens in answers])
    return with_own_logprobs(policy, members, noise=0.3, seed=seed)


def mean_logprob(ppo, batch, score):
    total = []
    with torch.no_grad():
        for row in batch.rows:
            found = policy_forward(ppo.policy, row).logprobs_N
            chosen = torch.tensor([batch.trajectories[i].score == score for i in row.trajectory_N.tolist()])
            total.extend(found[chosen].tolist())
    return sum(total) / len(total)


def settings_for(folder, run_folder, **learner) -> Settings:
    return Settings.model_validate(
        {
            "run": {"id": "r", "folder": str(run_folder), "prepared": str(run_folder)},
            "model": {"path": str(folder)},
            "learner": learner,
        }
    )
