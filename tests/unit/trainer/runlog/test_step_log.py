import json
from collections import Counter
from dataclasses import replace

from support.trajectories import trajectory

from trainer.runlog.step_log import quantiles, record_step, token_ages
from trainer.step.batch import pack_batch
from trainer.step.report import StepReport


def test_staleness_is_measured_per_token(tmp_path, metric_change):
    """A response that new weights continued has tokens of several ages; those of an abandoned lineage count as 0."""
    members = [replace(trajectory([1], [2, 3, 4]), versions=(3, 4, 5)), replace(trajectory([1], [5]), versions=(9,))]
    batch = pack_batch([members], 64)
    report = StepReport(targets=4, tokens=6, shaped_reward=0.75)
    record_step(
        tmp_path / "steps.jsonl", lineage=0, version=6, batch=batch, report=report, staleness=[2], shaping="overlong@1"
    )
    line = json.loads((tmp_path / "steps.jsonl").read_text())
    assert line["token_staleness"] == 0.75
    assert line["token_staleness_quantiles"] == {"p50": 0, "p90": 2, "p99": 2, "max": 2}
    assert (line["reward"], line["shaped_reward"], line["shaping"]) == (1.0, 0.75, "overlong@1")
    bounds = ("0.0", "1.0", "2.0", "+Inf")
    moved = {bound: metric_change("token_staleness_versions_bucket", le=bound) for bound in bounds}
    assert moved == {"0.0": 2, "1.0": 3, "2.0": 4, "+Inf": 4}
    assert token_ages(batch, 5) == Counter({0: 2, 1: 1, 2: 1})


def test_quantiles_are_ages_that_occurred():
    assert quantiles({0: 90, 3: 9, 7: 1}) == {"p50": 0, "p90": 0, "p99": 3, "max": 7}
    assert quantiles({}) == {"p50": 0, "p90": 0, "p99": 0, "max": 0}
