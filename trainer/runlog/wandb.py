"""Weights & Biases, or a server that speaks its protocol. Where to, and whether at all over the network, is said by its
own environment: WANDB_MODE=offline writes under the run's folder, WANDB_BASE_URL, WANDB_ENTITY, WANDB_PROJECT.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

_PROJECT = "rewardstream"
"""Where WANDB_PROJECT says nothing."""


class WandbLogger:
    def __init__(self, folder: Path, run_id: str, writer: str, config: Mapping[str, Any]) -> None:
        """One run of W&B a writer, since a run there has one: both stand in the group `run_id`. A writer that starts
        again goes on with its own. Raises what wandb raises.
        """
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True)
        project = settings.project or _PROJECT
        self._run = wandb.init(
            project=project, group=run_id, id=f"{run_id}-{writer}", name=f"{run_id}-{writer}", job_type=writer,
            dir=str(folder), config=dict(config), resume="allow", reinit="create_new", settings=settings,
        )  # fmt: skip
        # W&B's own step may not fall, as a version does where a learner resumes.
        self._run.define_metric("version", hidden=True)
        self._run.define_metric("*", step_metric="version")

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        self._run.log(dict(scalars) | {"version": version})

    def close(self) -> None:
        self._run.finish()
