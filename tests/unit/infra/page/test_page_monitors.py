from pathlib import Path
from types import SimpleNamespace

import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.advice.advisories import healthy_logprob_diff
from infra.db.second_scores import Exploitation
from infra.db.training_scores import TrainingScores
from infra.page.models.monitors import (
    LEAST_CREDITED,
    NEARLY_ALL,
    RISE,
    above_half_panel,
    canary_points,
    difference_panel,
    evidence_panel,
    exploitation_panel,
    heldout_panels,
    thin_panel,
)
from infra.page.models.trend import point_of
from infra.page.readers.monitors import CanaryCounts


def check(version, z=None, *, alarm=False):
    return SimpleNamespace(
        route="genrm", domain="essays", version=version, credited=0.5 + version / 100, confirmed=0.4, reward=None, z=z,
        z_limit=4.0, alarm=alarm,
    )  # fmt: skip


def judged(version, passed, responses=10, domain="essays", route="genrm"):
    return TrainingScores(version, route, domain, responses, passed, 1.0)


def test_the_limits_are_those_of_the_alerts():
    text = Path("infra/prometheus/alerts.yml").read_text()
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    exprs = {rule["alert"]: rule["expr"] for rule in rules if "alert" in rule}
    assert f"> {NEARLY_ALL}" in exprs["JudgePassesNearlyAll"]
    assert f"> {RISE}" in exprs["ExploitationRises"]
    assert f">= {LEAST_CREDITED}" in exprs["ExploitationRises"]


def test_a_series_of_the_guard_has_a_panel_and_its_evidence_is_a_part_of_the_limit():
    (panel,) = heldout_panels([check(1), check(2, 5.0, alarm=True)])
    assert panel.alarm
    assert [curve.name for curve in panel.curves] == ["credited", "confirmed"]
    evidence = evidence_panel([check(1), check(2, 5.0, alarm=True)])
    assert [(point.x, point.y) for point in evidence.curves[0].points] == [(2, 1.25)]
    assert evidence_panel([check(1)]).curves == []


def test_an_exploitation_rate_needs_enough_responses_and_rises_above_its_lowest():
    few = exploitation_panel([Exploitation(1, "rtv", "sums", LEAST_CREDITED - 1, 9)])
    assert (few.curves, few.alarm) == ([], False)
    rows = [Exploitation(1, "rtv", "sums", 40, 4), Exploitation(30, "rtv", "sums", 40, 16)]
    panel = exploitation_panel(rows)
    assert [point.y for point in panel.curves[0].points] == [0.1, 0.4]
    assert (panel.limit, panel.alarm) == (0.1 + RISE, True)


def test_a_judge_that_passes_nearly_all_is_beyond_the_line_and_a_verifier_is_not_shown():
    panel = above_half_panel([judged(1, 0.5), judged(40, 1.0), judged(40, 1.0, route="rtv", domain="sums")])
    assert [curve.name for curve in panel.curves] == ["essays (genrm)"]
    assert panel.alarm
    assert not above_half_panel([judged(1, 1.0), judged(2, 0.5)]).alarm


def test_policies_that_differ_are_beyond_the_line_of_the_advisory():
    line = {"version": 1, "lineage": 0, "at": 0.0, "rewards": {}, "logprob_diff_mean": 0.01}
    assert difference_panel([point_of(line)], healthy_logprob_diff(float32=True)).alarm
    assert not difference_panel([point_of(line)], healthy_logprob_diff(float32=False)).alarm


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans(), st.integers(0, 20)), max_size=40), st.integers(1, 50))
def test_shares_of_canaries_stay_shares_over_restarts(steps, window):
    counts, canaries, fooled = [], 0, 0
    for second, (more, restarted, wrong) in enumerate(steps):
        canaries, fooled = (0, 0) if restarted else (canaries, fooled)
        canaries, fooled = canaries + more, fooled + min(more, wrong)
        counts.append((float(second), float(canaries), float(fooled)))
    for point in canary_points(counts, window):
        assert 0 <= point.y <= 1


def test_the_share_of_canaries_forgets_what_is_older_than_its_window():
    counts = [(60.0, 10.0, 10.0), (120.0, 20.0, 10.0), (180.0, 30.0, 10.0)]
    assert [point.y for point in canary_points(counts, 10)] == [1.0, 0.0, 0.0]
    assert [round(point.y, 2) for point in canary_points(counts, 100)] == [1.0, 0.5, 0.33]


def test_a_curve_is_bounded_and_keeps_its_newest_point():
    panel = above_half_panel([judged(version, 0.5) for version in range(1, 1001)])
    points = thin_panel(panel, 100).curves[0].points
    assert len(points) <= 100
    assert points[-1].x == 1000


def test_a_series_that_grows_is_read_on_and_a_line_being_written_waits(tmp_path):
    file = tmp_path / "metrics.jsonl"
    counts = CanaryCounts(file)
    assert counts.read() == ()
    file.write_text('{"seconds": 1, "canaries": 0}\n{"seconds": 2, "canaries": 5, "canary_false_positives": 1}\n{"sec')
    assert counts.read() == [(1, 0.0, 0.0), (2, 5, 1)]
    with file.open("a") as more:
        more.write('onds": 3, "canaries": 5, "canary_false_positives": 1}\n{"seconds": 4, "canaries": 6}\n')
    assert counts.read() == [(1, 0.0, 0.0), (2, 5, 1), (4, 6, 0.0)]
