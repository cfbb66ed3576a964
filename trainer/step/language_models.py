"""Forward passes of policy and value models over packed rows. The models are Hugging Face causal language models.

Invariants:
- Logits exist only at positions that predict a target.
- Log-probs and values are float32 and on the CPU, whatever the type of the matrix products and the model's device.
  Hidden states stay on the model's device.

Shapes: L tokens of a row, N targets, D hidden, V vocabulary.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from transformers import AutoModelForCausalLM

from trainer.distributed.device import CPU
from trainer.step.batch import TrainingRow
from trainer.step.sharded_models import Adapter, inside, load_sharded, reshard
from trainer.step.token_logprobs import sliced_logprobs
from workers.models import packed_attention
from workers.models.packed_model import check_model, output_head, row_states


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    logprobs_N: Tensor
    entropy_N: Tensor
    """Nats; detached unless its gradient was asked for."""
    hidden_ND: Tensor
    """Last hidden states at the predicting positions, float32, on the model's device."""


def autocast(*, enabled: bool, device: torch.device = CPU) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16 on `device` if enabled, else in the type of the weights."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled else nullcontext()


def device_of(model: nn.Module) -> torch.device:
    """The one device on which the model, or its shards in this process, are."""
    return next(model.parameters()).device


def load_causal_lm(folder: Path, mesh: DeviceMesh | None = None, adapter: Adapter | None = None) -> Any:
    """Loads a causal language model in float32 and eval mode. With a mesh it is sharded over it, with the adapter's
    layers if there is one, and every process of the mesh must call this.

    Raises OSError or ValueError if it does not load, and ModelMismatchError (a ValueError) if rows would give other
    log-probs than its own forward pass. Gradients work in eval mode too, and dropout would make the learner's log-probs
    differ from the engine's.
    """
    attention = packed_attention.implementation(folder)
    if mesh is not None:
        model: Any = load_sharded(AutoModelForCausalLM, folder, mesh, attention, adapter)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
    check_model(model.eval(), partial(inside, model))
    reshard(model)
    return model


def hidden_states(model: Any, row: TrainingRow) -> Tensor:
    """Last hidden states [N, D] at the positions that predict the row's targets, on the model's device."""
    device = device_of(model)
    return row_states(model, row.packed.to(device))[row.predictors_N.to(device)]


def policy_forward(
    model: Any, row: TrainingRow, *, entropy_gradient: bool = False, logits_chunk_tokens: int = 0
) -> PolicyOutput:
    """Log-probs of the row's targets under the sampled distribution, softmax(logits / temperature).

    `entropy_gradient` keeps the entropy's gradient, for a loss that contains it. `logits_chunk_tokens` bounds how many
    targets have logits at a time; 0 means no bound. A sharded model has whole weights only inside its own call, so all
    of this runs inside it.
    """
    compute = partial(policy_tensors, logits_chunk_tokens=logits_chunk_tokens)
    logprobs_N, entropy_N, states_ND = inside(model, compute, model, row)
    return PolicyOutput(logprobs_N.cpu(), (entropy_N if entropy_gradient else entropy_N.detach()).cpu(), states_ND)


def policy_tensors(model: Any, row: TrainingRow, *, logits_chunk_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """The fields of PolicyOutput in their order, all with gradients and on the model's device."""
    states_ND = hidden_states(model, row)
    targets_N, temperature_N = row.targets_N.to(states_ND.device), row.temperature_N.to(states_ND.device)
    logprobs_N, entropy_N = sliced_logprobs(
        output_head(model), states_ND, targets_N, temperature_N, logits_chunk_tokens
    )
    return logprobs_N, entropy_N, states_ND.float()


class ValueModel(nn.Module):
    """V(state before a token): a scalar head on the hidden states of its own `trunk`, or of the policy without one."""

    def __init__(self, hidden_size: int, trunk: Any | None) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, row: TrainingRow, policy_hidden_ND: Tensor | None) -> Tensor:
        """Values [N], float32, on the model's device. Without a trunk it uses the policy's hidden states, detached."""
        if self.trunk is not None:
            states_ND = hidden_states(self.trunk, row)
        elif policy_hidden_ND is not None:
            states_ND = policy_hidden_ND.detach()
        else:
            raise ValueError("a value head without a trunk needs the policy's hidden states")
        with torch.autocast(states_ND.device.type, enabled=False):
            values: Tensor = self.head(states_ND.float())[:, 0]
        return values


def value_forward(model: ValueModel, row: TrainingRow, policy_hidden_ND: Tensor | None) -> Tensor:
    """Values [N] of the row's targets, on the CPU. A sharded model has whole weights only inside its own call."""
    values: Tensor = model(row, policy_hidden_ND)
    return values.cpu()
