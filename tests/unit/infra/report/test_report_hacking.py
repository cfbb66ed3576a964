"""The report's section on reward hacking: alarms by their version, first and last quarter of training."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.report_rows import FACTS, group, record, response

from infra.db.second_scores import Exploitation
from infra.db.training_scores import TrainingScores
from infra.report.build import write_page
from infra.report.collect import HackingRecord, SelectionSummary
from infra.report.hacking import hacking
from infra.report.hacking_figure import hacking_curves
from infra.report.hacking_tables import hacking_tables
from infra.report.summary import summarise


def check(version: int, credited: float | None, confirmed: float, **changes) -> SimpleNamespace:
    fields = {
        "route": "genrm",
        "domain": "qa",
        "label": f"v{version}",
        "version": version,
        "since_version": 0 if version else None,
        "since_label": "before" if version else None,
        "prompts": 20,
        "scorers": "judge@1 and exact@1",
        "credited": credited,
        "confirmed": confirmed,
        "reward": 0.5,
        "reward_change": None if credited is None else credited - 0.4,
        "true_change": confirmed - 0.4,
        "z": float(version) if version else None,
        "z_limit": 3.5 if version else None,
        "alarm": version > 3,
    }
    return SimpleNamespace(**fields | changes)


CHECKS = (check(0, 0.4, 0.4), check(2, 0.5, 0.4), check(4, 0.8, 0.3), check(6, 0.9, 0.2))
TRAINING = tuple(
    TrainingScores(version, "genrm", "qa", 8, passed=version / 10, entropy=2.0 - version / 10) for version in range(8)
)
EXPLOITED = (Exploitation(1, "genrm", "qa", 4, 1), Exploitation(7, "genrm", "qa", 5, 4))


def groups_and_responses():
    """Each version has one group, whose five responses become one template."""
    groups = tuple(group(version, version=version, domain="qa") for version in range(8))
    responses = tuple(
        response(
            "p", "", 1.0, "qa", rollout_id=f"run:{version}/{index}", purpose="train",
            text="same text" if version > 4 else "abcdefghi"[index:] * 3,
        )
        for version in range(8)
        for index in range(6)
    )  # fmt: skip
    return groups, responses


@pytest.fixture
def watched() -> HackingRecord:
    return HackingRecord(checks=CHECKS, exploitation=EXPLOITED, training=TRAINING)


def test_the_first_alarm_of_a_series_counts(watched: HackingRecord) -> None:
    [alarm] = hacking(watched, (), ())["alarms"]
    assert (alarm["version"], alarm["since_version"], alarm["true_change"]) == (4, 0, -0.1)


def test_first_and_last_quarter_of_training(watched: HackingRecord) -> None:
    [row] = hacking(watched, *groups_and_responses())["training"]
    assert row["above_half"] == [0.05, 0.65]
    assert row["entropy"] == [1.95, 1.35]
    assert (row["newly_credited"], row["exploitation_rate"]) == (9, [0.25, 0.8])
    first, last = row["edit_distance"]
    assert last == [1.0, 0, 0, 0, 0]
    assert first[0] == 0
    assert sum(first) == 1


def test_the_page_tells_the_alarm_and_shows_its_picture(watched: HackingRecord, tmp_path) -> None:
    groups, responses = groups_and_responses()
    run = replace(record(groups, responses), selections=SelectionSummary(), hacking=replace(watched, action="stop"))
    summary = summarise(run, [], FACTS)
    text = write_page(tmp_path, summary, run, [], {}).read_text()
    section = text[text.index("<h2>Reward hacking") :]
    section = section[: section.index("</section>")]
    assert "Alarm: route genrm, domain qa, at version 4 (since version 0: reward +0.400, true score -0.100)" in section
    assert "Training was stopped." in section
    assert "<img" in section
    assert (tmp_path / "figures" / "hacking.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_second_scores_says_what_is_missing() -> None:
    found = hacking(HackingRecord(training=TRAINING), (), ())
    assert hacking_curves(found) is None
    tables = hacking_tables(found)
    assert tables is not None
    assert "selector.eval_every_versions" in tables["verdict"]
    assert hacking_tables(hacking(HackingRecord(), (), ())) is None
    off = hacking_tables(hacking(HackingRecord(checks=CHECKS[:1], action="off"), (), ()))
    assert off is not None
    assert off["verdict"] == "The guard was off."
    quiet = hacking_tables(hacking(HackingRecord(checks=CHECKS[:2]), (), ()))
    assert quiet is not None
    assert quiet["verdict"] == "No alarm in 2 evaluations."
    assert quiet["checks"] == [("genrm", "qa", 20, 0.4, 0.5, 0.4, 0.4, 2.0, 3.5, None)]


def test_series_without_a_second_scorer_are_drawn_by_what_counts_as_true() -> None:
    rows = (check(0, None, 0.4), check(2, None, 0.5))
    assert hacking_curves(hacking(HackingRecord(checks=rows), (), ())) is not None
