"""The device on which a learner's models compute: a GPU or the CPU.

Invariant: rows, losses and advantages stay on the CPU. A forward pass copies the tensors that it needs from a row to
the model's device, and copies the few numbers per target back (`trainer.step.language_models`).
"""

import os

import torch

from infra.settings.learner import DeviceKind

CPU = torch.device("cpu")


class DeviceError(ValueError):
    """This host has no such device for this process; the text says what to set."""


def chosen_device(kind: DeviceKind) -> torch.device:
    """This process's device: the CPU, or the CUDA device whose index is torchrun's LOCAL_RANK (0 without torchrun).

    Raises DeviceError.
    """
    count = torch.cuda.device_count()
    if kind == "cpu" or (kind == "auto" and count == 0):
        return CPU
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number < count:
        return torch.device("cuda", number)
    if count == 0:
        raise DeviceError(
            "learner.device = 'cuda', but torch sees no CUDA device: install a torch build for CUDA and its driver "
            "(`nvidia-smi` lists what the driver sees), or set learner.device to 'auto' or 'cpu'"
        )
    raise DeviceError(
        f"process {number} of this host has no CUDA device of its own, torch sees {count}: set learner.processes to "
        f"{count} or fewer, or learner.device to 'cpu'"
    )
