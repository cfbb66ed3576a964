"""Gradients that are not finite: their groups close as failed, their batches are kept, and the run ends for good."""

import json
from collections import Counter

from support.learner_loop import LearnerLoop

from infra.cli.errors import ExitCode
from streams.messages import Outcome
from trainer.runlog import skipped_updates


def test_a_learner_that_diverges_says_so_and_ends(loop: LearnerLoop):
    """A learning rate that throws the weights far away: the first step is applied, none after it can be."""
    broken = loop.settings.model_copy(
        update={
            "learner": loop.settings.learner.model_copy(
                update={
                    "learning_rate": 1e30,
                    "warmup_steps": 0,
                    "divergence_guard": loop.settings.learner.divergence_guard.model_copy(update={"skips_in_a_row": 2}),
                }
            )
        }
    )
    loop.settings = broken
    loop.dispatch(*range(6))
    child = loop.start("learner")
    assert child.wait(timeout=60) == ExitCode.DIVERGED
    closed = loop.closings().closed  # which groups share a batch is up to the order of the partitions
    outcomes = Counter((each.outcome, each.reason) for each in closed)
    assert outcomes == {(Outcome.TRAINED, ""): 2, (Outcome.FAILED, skipped_updates.REASON): 2}
    assert loop.versions()[-1].version == 2
    folders = sorted((loop.folder / broken.run.id / skipped_updates.FOLDER).iterdir())
    assert [folder.name for folder in folders] == ["v000001-0", "v000002-0"]
    batch = json.loads((folders[0] / "batch.json").read_text())
    failed = {each.group_id for each in closed if each.outcome is Outcome.FAILED}
    assert {group["group_id"] for group in batch["groups"]} == failed
    assert "Lower learner.learning_rate" in loop.log("learner")
