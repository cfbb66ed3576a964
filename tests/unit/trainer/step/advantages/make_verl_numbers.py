"""Writes verl_numbers.json: advantages, returns and losses of verl 0.9.1's core_algos on drawn rewards and values.

Run by hand, in an environment of its own: `pip install --no-deps verl==0.9.1 && python make_verl_numbers.py`. The
package's imports want a cluster's libraries that none of these functions uses, so empty modules stand in for them.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch

LENGTHS = [3, 5, 2, 4]
GROUPS = np.array([0, 0, 1, 1])
GAMMA, LAM, CLIP = 0.97, 0.9, 0.2


def load_core() -> types.ModuleType:
    root = Path(importlib.util.find_spec("verl").origin).parent
    stand_ins = {
        "omegaconf": ["DictConfig"],
        "tensordict": ["TensorDict"],
        "verl": [],
        "verl.utils": ["as_torch_index", "group_mean_std"],
        "verl.utils.device": ["get_device_name", "get_torch_device"],
        "verl.utils.import_utils": [],
        "verl.trainer.config": ["AlgoConfig"],
        "verl.workers.config": ["ActorConfig"],
    }
    for name, members in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        for member in members:
            setattr(sys.modules[name], member, type(member, (), {}))
    sys.modules["verl.utils.import_utils"].deprecated = lambda *_args, **_kw: lambda function: function
    sys.modules["verl.utils.device"].get_device_name = lambda: "cpu"
    for name, file in (
        ("verl.utils.torch_functional", "utils/torch_functional.py"),
        ("verl.core", "trainer/ppo/core_algos.py"),
    ):
        spec = importlib.util.spec_from_file_location(name, root / file)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        setattr(sys.modules["verl.utils"], name.rpartition(".")[2], sys.modules[name])
        spec.loader.exec_module(sys.modules[name])
    return sys.modules["verl.core"]


def main() -> None:
    core = load_core()
    torch.manual_seed(0)
    shape = (len(LENGTHS), max(LENGTHS))
    mask = torch.zeros(shape)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
    scores = torch.tensor([1.0, 0.25, 0.0, 0.8])
    behaviour, reference = -3 * torch.rand(shape), -3 * torch.rand(shape)
    values, new_values = 0.5 * torch.randn(shape) * mask, 0.5 * torch.randn(shape)
    rewards = torch.zeros(shape)
    rewards[torch.arange(4), torch.tensor(LENGTHS) - 1] = scores
    kl = {name: core.kl_penalty_forward(behaviour, reference, name) for name in ("k1", "k2", "k3")}
    penalised = rewards - 0.1 * kl["k1"] * mask
    config = types.SimpleNamespace(gamma=GAMMA)
    advantages, returns = core.compute_gae_advantage_return(rewards, values, mask, GAMMA, LAM)
    advantages_kl, returns_kl = core.compute_gae_advantage_return(penalised, values, mask, GAMMA, LAM)
    found = {
        "scores": scores,
        "mask": mask,
        "behaviour": behaviour,
        "reference": reference,
        "values": values,
        "new_values": new_values,
        "kl": kl,
        "gae": advantages * mask,
        "gae_returns": returns * mask,
        "gae_kl_reward": advantages_kl * mask,
        "gae_kl_reward_returns": returns_kl * mask,
        "group": core.compute_grpo_outcome_advantage(rewards, mask, GROUPS)[0],
        "centred": core.compute_grpo_outcome_advantage(rewards, mask, GROUPS, norm_adv_by_std_in_grpo=False)[0],
        "rloo": core.compute_rloo_outcome_advantage(rewards.clone(), mask, GROUPS)[0],
        "score_batch": core.compute_reinforce_plus_plus_outcome_advantage(rewards, mask, config)[0],
        "score_batch_kl_reward": core.compute_reinforce_plus_plus_outcome_advantage(penalised, mask, config)[0],
        "centred_batch": core.compute_reinforce_plus_plus_baseline_outcome_advantage(rewards, mask, GROUPS)[0],
        "value_loss": core.compute_value_loss(new_values, returns, values, mask, CLIP)[0],
    }
    lists = {
        name: {k: v.tolist() for k, v in x.items()} if isinstance(x, dict) else x.tolist() for name, x in found.items()
    }
    Path(__file__).with_name("verl_numbers.json").write_text(json.dumps(lists) + "\n")


if __name__ == "__main__":
    main()
