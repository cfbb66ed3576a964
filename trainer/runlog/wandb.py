"""Logs to Weights & Biases, or to a server with its protocol.

Its own environment variables set the destination: WANDB_MODE=offline writes under the run's folder, and WANDB_BASE_URL,
WANDB_ENTITY and WANDB_PROJECT name the server, the entity and the project.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

_PROJECT = "rewardstream"
"""The project if WANDB_PROJECT is not set."""


class WandbLogger:
    def __init__(self, folder: Path, run_id: str, writer: str, config: Mapping[str, Any]) -> None:
        """Opens one W&B run per writer, since W&B allows one writer per run; both runs are in the group `run_id`.

        A writer that restarts continues its own run. Raises what wandb raises.
        """
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True)
        project = settings.project or _PROJECT
        self._run = wandb.init(
            project=project, group=run_id, id=f"{run_id}-{writer}", name=f"{run_id}-{writer}", job_type=writer,
            dir=str(folder), config=dict(config), resume="allow", reinit="create_new", settings=settings,
        )  # fmt: skip
        # W&B's own step must not decrease, but a version does when a learner resumes.
        self._run.define_metric("version", hidden=True)
        self._run.define_metric("*", step_metric="version")

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        self._run.log(dict(scalars) | {"version": version})

    def close(self) -> None:
        self._run.finish()
