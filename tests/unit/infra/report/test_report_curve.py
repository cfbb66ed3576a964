"""The held-out score by version."""

from dataclasses import replace
from datetime import timedelta

from support.report_rows import FACTS, START, group, record

from infra.report.collect import EvaluationRow
from infra.report.curve import heldout_curve
from infra.report.figures import heldout_curve as drawn
from infra.report.summary import summarise


def rows(label: str, version: int, mean: float, prompts: int = 4) -> list[EvaluationRow]:
    return [
        EvaluationRow(label, "a", version, prompts, mean),
        EvaluationRow(label, "overall", version, prompts, mean, mean - 0.0625, mean + 0.0625),
    ]


def measured():
    groups = [
        group(seq, version=version, closed_at=START + timedelta(seconds=10 * version + late))
        for seq, (version, late) in enumerate([(1, 0), (2, 0.5), (2, 0), (3, 0)])
    ]
    evaluations = [*rows("after", 3, 0.5), *rows("v2", 2, 0.4), *rows("v3", 3, 0.9, prompts=1), *rows("before", 0, 0.1)]
    return replace(record(tuple(groups)), evaluations=tuple(evaluations))


def test_points_come_by_version_with_the_seconds_in_which_it_was_made():
    points = heldout_curve(measured())
    assert [(point["label"], point["version"], point["seconds"], point["overall"]) for point in points] == [
        ("before", 0, 0.0, 0.1),
        ("v2", 2, 20.0, 0.4),
        ("v3", 3, 30.0, 0.9),
        ("after", 3, 30.0, 0.5),
    ]
    assert points[1]["by_domain"] == {"a": 0.4}
    assert points[1]["overall_ci95"] == [0.3375, 0.4625]
    assert points[1]["by_domain_ci95"] == {"a": None}  # as of an older version


def test_a_measurement_that_was_cut_short_is_told_apart():
    assert [point["complete"] for point in heldout_curve(measured())] == [True, True, False, True]


def test_the_heldout_curve_is_in_the_summary_and_drawn():
    points = summarise(measured(), [], FACTS)["heldout_by_version"]
    assert len(points) == 4
    assert drawn(points)[:4] == b"\x89PNG"


def test_before_and_after_alone_make_no_curve():
    assert drawn([point for point in heldout_curve(measured()) if not point["label"].startswith("v")]) is None
    assert heldout_curve(record()) == []
