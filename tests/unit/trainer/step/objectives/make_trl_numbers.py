"""Writes trl_numbers.json: losses and gradients of TRL 1.16.0's GRPOTrainer on given log-probabilities.

Run by hand, in an environment of its own with trl==1.16.0: `python make_trl_numbers.py`. The trainer's own
`_compute_loss` is called on an object that holds its options, with tensors in place of a model's outputs.
"""

import json
import types
from collections import defaultdict
from pathlib import Path

import torch
from trl.rewards import get_soft_overlong_punishment
from trl.trainer.grpo_trainer import GRPOTrainer

LENGTHS = [3, 5, 2, 4]
CASES = {
    "grpo": {"loss_type": "grpo"},
    "dapo_clip_higher": {"loss_type": "dapo", "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_low": 3e-2, "epsilon_high": 4e-2},
    "kl_k3": {"loss_type": "dapo", "beta": 0.1},
    "kl_k3_importance_weighted": {"loss_type": "dapo", "beta": 0.1, "bias_correction": True},
    "truncated_importance_sampling": {"loss_type": "dapo", "truncate": 2.0},
    "entropy": {"loss_type": "dapo", "entropy_coef": 0.01},
    "dual_clip_by_delta": {"loss_type": "dapo", "delta": 3.0, "positive": False},
}


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    shape = (len(LENGTHS), max(LENGTHS))
    mask = torch.zeros(shape, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
    old = -torch.rand(shape) * 3
    return {
        "logprobs": old + 0.4 * torch.randn(shape),
        "proximal": old,
        "behaviour": old + 0.6 * torch.randn(shape),
        "reference": old + 0.3 * torch.randn(shape),
        "entropy": torch.rand(shape) * 2,
        "advantages": torch.tensor([1.2, -0.7, 0.4, -0.9]),
        "mask": mask,
    }


def trainer_of(options: dict, values: dict[str, torch.Tensor], logprobs: torch.Tensor) -> object:
    self = types.SimpleNamespace(
        loss_type=options["loss_type"],
        importance_sampling_level=options.get("importance_sampling_level", "token"),
        epsilon_low=options.get("epsilon_low", 0.2),
        epsilon_high=options.get("epsilon_high", 0.2),
        beta=options.get("beta", 0.0),
        entropy_coef=options.get("entropy_coef", 0.0),
        _entropy_bonus_enabled="entropy_coef" in options,
        use_adaptive_entropy=False,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm="truncate" in options,
        vllm_importance_sampling_correction=True,
        max_completion_length=8,
        current_gradient_accumulation_steps=1,
        args=types.SimpleNamespace(
            delta=options.get("delta"),
            use_bias_correction_kl=options.get("bias_correction", False),
            steps_per_generation=1,
        ),
        model=types.SimpleNamespace(training=True),
        accelerator=types.SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, **_: x, sync_gradients=True
        ),
        _metrics={"train": defaultdict(list)},
    )
    self._get_per_token_logps_and_entropies = lambda *_args, **_kw: (logprobs, values["entropy"], None)
    return self


def case(options: dict) -> dict:
    values = inputs()
    if options.get("positive") is False:
        values["advantages"] = -values["advantages"].abs()
        values["logprobs"] = values["proximal"] + 1.2 * (values["logprobs"] - values["proximal"]).abs() / 0.4
    logprobs = values["logprobs"].clone().requires_grad_()
    ratio = torch.exp(values["proximal"] - values["behaviour"]).clamp(max=options.get("truncate", float("inf")))
    batch = {
        "prompt_ids": torch.zeros(4, 1, dtype=torch.long),
        "prompt_mask": torch.ones(4, 1, dtype=torch.long),
        "completion_ids": torch.zeros_like(values["mask"]),
        "completion_mask": values["mask"],
        "advantages": values["advantages"],
        "old_per_token_logps": values["proximal"],
        "ref_per_token_logps": values["reference"],
        "importance_sampling_ratio": ratio,
        "num_items_in_batch": values["mask"].sum(),
    }
    loss = GRPOTrainer._compute_loss(trainer_of(options, values, logprobs), None, batch)
    loss.backward()
    lists = {name: value.tolist() for name, value in values.items()}
    return {"options": options, **lists, "loss": float(loss), "gradient": logprobs.grad.tolist()}


def main() -> None:
    penalty = get_soft_overlong_punishment(max_completion_len=20, soft_punish_cache=4)
    found = {
        "cases": {name: case(options) for name, options in CASES.items()},
        "soft_overlong": [[length, -penalty([[0] * length])[0]] for length in range(24)],
    }
    Path(__file__).with_name("trl_numbers.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
