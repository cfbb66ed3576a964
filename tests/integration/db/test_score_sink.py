"""The sink: delivered twice, in parts, or by two replicas at once has the effect of once."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update
from support.score_rows import record

from infra.db.json_rows import encode_rows
from infra.db.models import PromptStats, Score, StreamOffset
from infra.db.sink import ScoredRecord, ScoreSink
from infra.db.statistics import Running
from trainer.audit.contents import differing_statistics

GROUP = "difficulty"


def statistics_of(engine):
    names = [field.name for field in fields(Running)]
    with engine.connect() as connection:
        rows = connection.execute(select(PromptStats.prompt_id, *(getattr(PromptStats, name) for name in names)))
        return {row[0]: Running(*row[1:]) for row in rows}


def rows_of(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Score))


@pytest.fixture
def sink(engine):
    return ScoreSink(engine, decay=0.9, consumer_group=GROUP)


def test_an_infra_error_is_kept_and_moves_no_statistics(engine, sink):
    assert sink.write([record(0, None), record(1, 1.0)]) == 2
    assert statistics_of(engine) == {"p0": Running().add(1.0, 1, 0.9)}


def test_offsets_only_move_forward(sink):
    sink.write([record(0, 1.0, offset=7), record(1, 1.0, partition=1, offset=3)])
    sink.write([record(2, 1.0, offset=2)])
    assert sink.next_offsets() == {("scored", 0): 8, ("scored", 1): 4}
    assert ScoreSink(sink._engine, 0.9, "another").next_offsets() == {}


def updated(scored, score):
    """The same rollout, scored again by the next version of its scorer."""
    return replace(scored, score=score, scorer_version="2", offset=scored.offset + 100)


def test_another_version_of_the_scorer_is_another_row_and_counts_nothing(engine, sink):
    assert sink.write([record(0, 1.0)]) == 1
    assert sink.write([updated(record(0, 1.0), 0.0), record(1, 0.0)]) == 2
    assert statistics_of(engine) == counted_one_by_one([record(0, 1.0), record(1, 0.0)], 0.9)
    with engine.connect() as connection:
        assert differing_statistics(connection, record(0, 1.0).run_id) == []


def test_statistics_that_count_twice_or_more_than_there_is_are_named(engine, sink):
    sink.write([record(0, 1.0), record(1, 0.0)])
    with engine.begin() as connection:
        connection.execute(update(PromptStats).values(count=2 * PromptStats.count))
        found = differing_statistics(connection, record(0, 1.0).run_id)
        assert found == [("statistics_differ", "p0", "statistics on route rtv count 4 scores of 2")]
        connection.execute(delete(Score))
        [(_, _, detail)] = differing_statistics(connection, record(0, 1.0).run_id)
    assert detail.endswith("count 4 scores of 0")


def test_another_version_counts_if_the_first_had_no_score(engine, sink):
    sink.write([record(0, None)])
    sink.write([updated(record(0, None), 1.0)])
    assert statistics_of(engine) == counted_one_by_one([record(0, 1.0)], 0.9)


def test_two_versions_in_one_batch_count_once(engine, sink):
    assert sink.write([record(0, 1.0), updated(record(0, 1.0), 0.0)]) == 2
    assert statistics_of(engine) == counted_one_by_one([record(0, 1.0)], 0.9)


def test_what_fails_leaves_nothing_behind(engine, sink):
    class BrokenSink(ScoreSink):
        def _move_offsets(self, connection, records):
            raise RuntimeError("the connection is gone")

    with pytest.raises(RuntimeError):
        BrokenSink(engine, 0.9, GROUP).write([record(0, 1.0)])
    assert (rows_of(engine), statistics_of(engine), sink.next_offsets()) == (0, {}, {})


def test_text_with_nul_is_stored(engine, sink):
    sink.write([replace(record(0, 1.0), text="a\x00b")])
    with engine.connect() as connection:
        assert connection.scalar(select(Score.text)) == "a\N{REPLACEMENT CHARACTER}b"


def test_wrong_answers_with_nul_are_counted_as_one(engine, sink):
    for index in range(2):
        sink.write([replace(record(index, 0.0), answer="fr\x00", text="fr\x00", why="\x00")])
    with engine.connect() as connection:
        (found,) = connection.execute(select(PromptStats.wrong_answer, PromptStats.wrong_votes)).all()
    assert tuple(found) == ("fr\N{REPLACEMENT CHARACTER}", 2)


def test_no_parameter_of_rows_holds_nul():
    rows = [{"a": "x\x00", "b": ["\x00", {"c\x00": "\x00"}], "d": r"\u0000"}]
    clean = "\N{REPLACEMENT CHARACTER}"
    assert json.loads(encode_rows(rows)) == [{"a": f"x{clean}", "b": [clean, {f"c{clean}": clean}], "d": r"\u0000"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score": float("nan")}, r"r:0/0: score nan is not in \[0, 1\]"),
        ({"score": 1.5}, "score 1.5"),
        ({"domain": "d" * 65}, "domain is longer than 64"),
        ({"domain": "a\x00"}, "contains NUL"),
        ({"seconds": float("inf")}, "seconds inf"),
        ({"judged": float("nan")}, "judged nan"),
    ],
)
def test_a_record_that_cannot_be_stored_is_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        ScoredRecord(**asdict(record(0, 1.0)) | change)


SCORES = [0.0, 1.0, 0.5, None, 0.75, 1.0, 0.25, 0.0]
SUMS = ("count", "mean", "m2", "passes", "successes", "failures", "evidence_version")
"""Statistics that do not depend on the order of arrival."""
RECORDS = [record(number, score, prompt=f"p{number % 2}") for number, score in enumerate(SCORES)]


@st.composite
def redeliveries(draw):
    """Batches as a log delivers them to a sink that crashes: each starts at or before the end of what was read."""
    stops = [*sorted(draw(st.sets(st.integers(1, len(RECORDS) - 1)))), len(RECORDS)]
    starts = [draw(st.integers(0, done)) for done in [0, *stops[:-1]]]
    return [RECORDS[start:stop] for start, stop in zip(starts, stops, strict=True)]


@given(redeliveries())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redelivery_after_crashes_counts_once(engine, sink, batches):
    clear(engine)
    sink.write(RECORDS)
    once = statistics_of(engine)
    clear(engine)
    inserted = sum(sink.write(batch) for batch in batches)
    assert (inserted, statistics_of(engine)) == (len(RECORDS), once)


@given(st.permutations(RECORDS), st.permutations(RECORDS))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_gives_the_same_sums(engine, sink, first, second):
    clear(engine)
    sink.write(first[:5])
    sink.write(second)
    assert sums_of(statistics_of(engine)) == pytest.approx(sums_of(counted_one_by_one(RECORDS, 0.9)))


AGES = st.integers(0, 20) | st.integers(0, 2**31 - 1)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1) | st.none(), AGES), min_size=1, max_size=12),
    st.sampled_from((0.0, 1e-9, 0.5, 0.98, 1.0)),
    st.integers(1, 5),
)
@example([("a", 0.0, 0), ("a", 5e-324, 0), ("a", 1e-200, 2**31 - 1)], 0.5, 1)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_count_what_one_score_at_a_time_counts(engine, scores, decay, batch):
    """Versions far apart, and evidence of which nothing is left, are stored to the last bit."""
    clear(engine)
    records = [
        replace(record(number, score, prompt=prompt), policy_version=version)
        for number, (prompt, score, version) in enumerate(scores)
    ]
    sink = ScoreSink(engine, decay, GROUP)
    assert sum(sink.write(records[start : start + batch]) for start in range(0, len(records), batch)) == len(records)
    assert statistics_of(engine) == counted_one_by_one(records, decay)


def test_replicas_at_once_count_once_and_do_not_deadlock(engine):
    prompts = [record(number, (number % 3) / 2, prompt=f"p{number % 5}") for number in range(60)]

    def deliver(records):
        for start in range(0, len(records), 6):
            ScoreSink(engine, 0.9, GROUP).write(records[start : start + 6])

    with ThreadPoolExecutor() as replicas:
        for done in [replicas.submit(deliver, order) for order in (prompts, prompts[::-1], prompts[30:])]:
            done.result()
    assert sum(value.count for value in statistics_of(engine).values()) == rows_of(engine) == 60


def counted_one_by_one(records, decay):
    found = {}
    for scored in records:
        if scored.score is not None:
            before = found.get(scored.prompt_id, Running())
            found[scored.prompt_id] = before.add(scored.score, scored.policy_version, decay, scored.text)
    return found


def sums_of(statistics):
    return {(prompt, name): getattr(running, name) for prompt, running in statistics.items() for name in SUMS}


def clear(engine):
    with engine.begin() as connection:
        for table in (Score, PromptStats, StreamOffset):
            connection.execute(delete(table))
