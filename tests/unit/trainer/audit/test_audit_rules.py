"""Each kind of violation, made by hand in an otherwise sound history, is caught and names its group."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.audit_history import END, History
from support.messages import RUN, closed, rollout, scored, started, ticket, verdict

from streams.codec import encode
from streams.dead_letters import dead_letter
from streams.messages import (
    GroupClosed,
    LineageStarted,
    Outcome,
    PromptTicket,
    Purpose,
    Rollout,
    Route,
    ScoredTrajectory,
    Status,
)
from streams.records import Record
from trainer.audit import audit
from trainer.audit.audit import load, report_on, save
from trainer.audit.contents import AuditedScore, Found
from trainer.audit.evidence import digest


def test_a_sound_history_has_no_violation_and_is_counted():
    report = report_on(History().evidence())
    assert report.violations == []
    assert report.sound
    assert report.groups == {"eval": {"filtered": 1}, "train": {"trained": 3, "expired": 1}}
    assert report.counts == {
        "groups": 5,
        "tickets": 6,
        "tickets_repeated": 1,
        "rollouts": 9,
        "rollouts_repeated": 1,
        "verdicts": 11,
        "infra_errors": 1,
        "score_rows": 10,
        "closings": 6,
        "closings_taken_back": 1,
        "lineages": 2,
        "claims_refused": 0,
        "dead_letters": 0,
    }


def never_closed(history):
    history.drop(GroupClosed, seq=4)
    history.row(4, outcome=None, closed_lineage=None, closed_ordinal=None)


def trained_twice(history):
    history.messages.append(closed(1, 5, lineage=2))


def closed_twice(history):
    history.messages.append(closed(3, 5, Outcome.STALE, lineage=2))


def closing_lost(history):
    """Group 3's ordinal is used by nobody."""
    history.drop(GroupClosed, seq=3)
    history.messages.append(closed(3, 7, lineage=2, mean_score=0.5))
    history.row(3, closed_ordinal=7)


def ordinal_reused(history):
    history.drop(GroupClosed, seq=4)
    history.messages.append(closed(4, 3, Outcome.EXPIRED, lineage=2))
    history.row(4, closed_ordinal=3)


def ticket_without_row(history):
    history.messages.append(ticket(5))


def rollout_without_row(history):
    history.messages.append(rollout(9, 0))


def closing_without_row(history):
    history.messages.append(closed(5, 5, lineage=2))


def seq_gap(history):
    history.messages.append(ticket(6))
    history.messages.append(closed(6, 5, Outcome.EXPIRED, lineage=2))
    made = replace(history.rows[4], seq=6, group_id=f"{RUN}:6", closed_ordinal=5, digest=digest(encode(ticket(6))))
    history.rows[6] = made


def ticket_lost(history):
    history.drop(PromptTicket, seq=4)


def ticket_differs(history):
    history.messages.append(ticket(4, samples=3))


def incomplete(history):
    history.drop(ScoredTrajectory, rollout_id=f"{RUN}:3/1")


def incomplete_for_a_shadow_score(history):
    """Only the question's own route counts."""
    history.drop(ScoredTrajectory, rollout_id=f"{RUN}:3/1")
    history.messages.append(scored(3, 1, 1.0, route=Route.GENRM))


def incomplete_for_an_infra_error(history):
    history.drop(ScoredTrajectory, rollout_id=f"{RUN}:2/0")
    history.messages.append(scored(2, 0, None))


def zero_for_infra_error(history):
    history.messages.append(verdict(rollout(4, 1), 0.0, status=Status.INFRA_ERROR))


def zero_for_infra_error_in_postgres(history):
    history.row_changes[f"{RUN}:4/0"] = Found(0.0, "infra_error")


def no_score_for_a_verdict(history):
    history.messages.append(verdict(rollout(4, 1), None, status=Status.WRONG))


def scores_lost(history):
    history.row_changes[f"{RUN}:2/1"] = None


def outcome_differs(history):
    history.row(1, outcome="stale")


def outcome_without_a_closing(history):
    history.row(3, closed_ordinal=9)


def outcome_abandoned(history):
    history.row(2, closed_lineage=1)


def unreadable(history):
    history.extra.append(Record("scored", 1, 7, 0.0, b"k", b"\xc1", (("schema", b"ScoredTrajectory"),)))


@pytest.mark.parametrize(
    ("break_", "kind", "group"),
    [
        (never_closed, "never_closed", 4),
        (trained_twice, "trained_twice", 1),
        (closed_twice, "closed_twice", 3),
        (closing_lost, "closing_lost", 4),
        (ordinal_reused, "ordinal_reused", 4),
        (ticket_without_row, "ticket_without_row", 5),
        (rollout_without_row, "rollout_without_row", 9),
        (closing_without_row, "closing_without_row", 5),
        (seq_gap, "seq_gap", 5),
        (ticket_lost, "ticket_lost", 4),
        (ticket_differs, "ticket_differs", 4),
        (incomplete, "incomplete", 3),
        (incomplete_for_a_shadow_score, "incomplete", 3),
        (incomplete_for_an_infra_error, "incomplete", 2),
        (zero_for_infra_error, "score_of_infra_error", 4),
        (no_score_for_a_verdict, "score_of_infra_error", 4),
        (scores_lost, "scores_lost", 2),
        (outcome_differs, "outcome_differs", 1),
        (outcome_without_a_closing, "outcome_differs", 3),
        (outcome_abandoned, "outcome_abandoned", 2),
    ],
)
def test_a_violation_is_caught_and_names_its_group(break_, kind, group):
    history = History()
    break_(history)
    assert history.violations() == {(kind, f"{RUN}:{group}")}


def test_an_infra_error_that_postgres_scores_breaks_two_rules():
    history = History()
    zero_for_infra_error_in_postgres(history)
    assert history.violations() == {("score_of_infra_error", f"{RUN}:4"), ("score_differs", f"{RUN}:4")}


def score_flipped(history):
    history.row_changes[f"{RUN}:2/1"] = Found(0.0, "wrong")


def row_exchanged(history):
    """There are as many rows as verdicts, and one of them is of another rollout."""
    history.row_changes[f"{RUN}:3/1"] = None
    history.more_rows.append(AuditedScore(f"{RUN}:3", (f"{RUN}:3/7", "rtv", "math", "1"), Found(1.0, "correct")))


def rollouts_gone(history):
    history.drop(Rollout, seq=3)


def size_falsified(history):
    history.drop(Rollout, seq=3)
    history.messages += [rollout(3, index, group_size=3) for index in range(2)]


def closing_moved(history):
    """To a lineage that nobody claimed, whose weights exist nowhere; Postgres follows."""
    history.drop(GroupClosed, seq=4)
    history.messages.append(closed(4, 4, Outcome.EXPIRED, lineage=9))
    history.row(4, closed_lineage=9)


def trained_measurement(history):
    history.drop(GroupClosed, seq=0)
    history.messages.append(closed(0, 0, purpose=Purpose.EVAL, mean_score=0.5))
    history.row(0, outcome="trained", staleness=0)


def mean_falsified(history):
    history.drop(GroupClosed, seq=3)
    history.messages.append(closed(3, 3, lineage=2, mean_score=0.9))
    history.row(3, mean_score=0.9)


def mean_falsified_in_postgres(history):
    history.row(3, mean_score=0.9)


def staleness_falsified(history):
    history.drop(GroupClosed, seq=3)
    history.messages.append(closed(3, 3, lineage=2, mean_score=0.5, staleness=1))
    history.row(3, staleness=1)


def version_falsified_in_postgres(history):
    history.row(1, closed_version=7)


def version_falsified(history):
    """Group 2 is closed with a version that its lineage cannot have reached, so the closing counts for nobody."""
    history.drop(GroupClosed, seq=2)
    history.messages.append(closed(2, 2, lineage=2, version=2, staleness=1, mean_score=0.5))
    history.row(2, closed_version=2, staleness=1)


def statistics_doubled(history):
    history.statistics.append(("statistics_differ", "p1", "statistics on route rtv count 4 scores of 2"))


def score_out_of_range(history):
    history.messages.append(scored(3, 0, 1e6))


@pytest.mark.parametrize(
    ("break_", "violations"),
    [
        (score_flipped, {("score_differs", "run:2")}),
        (row_exchanged, {("row_without_verdict", "run:3")}),
        (rollouts_gone, {("rollouts_lost", "run:3")}),
        (size_falsified, {("size_differs", "run:3")}),
        (closing_moved, {("never_closed", "run:4"), ("outcome_abandoned", "run:4")}),
        (trained_measurement, {("trained_measurement", "run:0")}),
        (mean_falsified, {("mean_differs", "run:3")}),
        (mean_falsified_in_postgres, {("closing_differs", "run:3")}),
        (staleness_falsified, {("staleness_differs", "run:3")}),
        (version_falsified_in_postgres, {("closing_differs", "run:1")}),
        (
            version_falsified,
            {("closing_lost", "run:3"), ("never_closed", "run:2"), ("outcome_abandoned", "run:2")},
        ),
        (statistics_doubled, {("statistics_differ", "p1")}),
    ],
)
def test_contents_that_were_changed_are_named(break_, violations):
    history = History()
    break_(history)
    assert history.violations() == violations


def test_every_kind_of_violation_is_planted():
    """A test of this file plants it, or the one that is named here."""
    elsewhere = {"database_changed": "test_an_audit_is_stored_and_postgres_is_checked_again"}
    source = "".join(file.read_text(encoding="utf-8") for file in Path(audit.__file__).parent.glob("*.py"))
    kinds = set(re.findall(r"""(?:kind=|yield )"([a-z_]+)\"""", source)) | {"trained_twice", "closed_twice"}
    kinds |= set(re.findall(r"\(\"([a-z]+_[a-z_]+)\", prompt", source))
    own = Path(__file__).read_text(encoding="utf-8")
    planted = set(re.findall(r"\"([a-z_]+)\",", own)) | elsewhere.keys()
    assert len(kinds) >= 27
    assert kinds - planted == set()


def test_a_score_out_of_range_is_unreadable_and_not_counted():
    history = History()
    score_out_of_range(history)
    [(kind, place)] = history.violations()
    assert (kind, place[:9]) == ("unreadable", "scored[0]")


def test_what_retention_removed_is_said_and_proves_nothing():
    history = History()
    history.drop(Rollout, seq=3)
    history.drop(ScoredTrajectory, seq=3)
    history.gone = {"scored": 2, "rollouts": 2}
    report = report_on(history.evidence())
    assert report.violations == []
    assert [sentence.partition(":")[0] for sentence in report.unprovable] == [
        "2 records of rollouts are gone from the log",
        "2 records of scored are gone from the log",
    ]


def test_a_body_that_the_router_passed_on_is_accounted_for_where_it_was_set_aside():
    """The dead letter names the topic of the scorer's requests, which the audit does not read."""
    history = History()
    broken = Record("rollouts", 1, 7, 0.0, b"k", b"\xc1", (("route", b"rtv"),))
    passed_on = Record("rtv.requests", 0, 3, 0.0, b"k", b"\xc1", broken.headers)
    letter = dead_letter(passed_on, ValueError("x"), "rtv", "dead-letters")
    history.extra += [broken, Record("dead-letters", 0, 0, 0.0, letter.key, letter.value, letter.headers)]
    assert history.violations() == set()


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong_makes_no_violation(skew):
    """The learner's clock stamps its starts, and Postgres' clock the end."""
    history = History()
    for index, message in enumerate(history.messages):
        if isinstance(message, LineageStarted):
            history.messages[index] = started(message.lineage, message.ordinal, at=max(0.0, END + skew))
    assert history.violations() == set()


def test_an_unreadable_record_is_a_violation_unless_it_was_set_aside():
    history = History()
    unreadable(history)
    assert history.violations() == {("unreadable", "scored[1]@7")}
    letter = dead_letter(history.extra[0], ValueError("x"), "difficulty", "dead-letters")
    history.extra.append(Record("dead-letters", 0, 0, 0.0, letter.key, letter.value, letter.headers))
    report = report_on(history.evidence())
    assert (report.violations, report.dead_letters) == ([], {"difficulty/ValueError": 1})


def test_verdicts_that_the_sink_has_not_reached_are_not_missed():
    history = History()
    history.messages += [rollout(4, 1), *[rollout(0, 0)] * 1000, scored(4, 1, 1.0)]
    assert history.violations() == set()


def test_open_groups_of_a_run_that_goes_on_are_no_violation():
    history = History()
    history.finished = False
    never_closed(history)
    report = report_on(history.evidence())
    assert (report.violations, report.finished) == ([], False)
    assert report.groups["train"] == {"trained": 3, "open": 1}


def test_a_learner_that_was_started_after_the_end_changes_nothing():
    history = History()
    history.messages += [started(3, 0, at=END + 1), closed(1, 0, lineage=3)]
    assert history.violations() == set()


def test_another_run_s_records_are_left_out():
    history = History()
    history.messages.append(ticket(7, run_id="other"))
    assert history.violations() == set()


def test_a_report_is_kept_and_read_again(tmp_path):
    report = report_on(History().evidence())
    save(report, tmp_path)
    assert load(tmp_path) == report


def test_a_damaged_report_is_named(tmp_path):
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(ValueError, match=r"audit.json is not an audit report"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("outcome", "more", "violations"),
    [
        (Outcome.FAILED, [], set()),
        (Outcome.EXPIRED, [], {("closing_without_row", f"{RUN}:5")}),
        (Outcome.FAILED, [ticket(5)], {("closing_without_row", f"{RUN}:5"), ("ticket_without_row", f"{RUN}:5")}),
        (Outcome.FAILED, [rollout(5, 0)], {("closing_without_row", f"{RUN}:5"), ("rollout_without_row", f"{RUN}:5")}),
    ],
)
def test_the_failure_of_a_group_that_no_sound_record_names_is_no_violation(outcome, more, violations):
    """A hostile record that is refused may name any group, and the learner fails what a refused record names."""
    history = History()
    history.messages += [*more, closed(5, 5, outcome, lineage=2)]
    assert history.violations() == violations


@pytest.mark.parametrize("score", [1.0, 0.25, 0.75])
def test_a_verdict_that_partitions_have_no_order_for_may_be_the_stored_one(score):
    """After partitions were added, a second verdict may lie in another one, and readers differ in their order."""
    history = History()
    again = scored(1, 1, 0.25)
    history.extra.append(Record("scored", 1, 0, 0.0, b"k", encode(again), ()))
    history.row_changes[f"{RUN}:1/1"] = Found(score, str(again.status if score == 0.25 else Status.CORRECT))
    expected = {("score_differs", f"{RUN}:1")} if score == 0.75 else set()
    assert history.violations() == expected
