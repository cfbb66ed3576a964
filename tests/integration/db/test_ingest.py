"""Datasets into Postgres: once is the same as twice, and a prompt never changes its split."""

import json
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from sqlalchemy import func, select, text, update

from infra.cli.stack import with_own_prompts
from infra.db.copy_rows import copy_rows
from infra.db.engine import make_engine
from infra.db.models import Prompt
from infra.settings.evaluation import Skill
from infra.settings.tree import Settings
from trainer.curriculum.prompt_pool import prompts_to_assess
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import _COLUMNS, IngestReport, _Batch, _write, ingest
from trainer.prompts.rejected_rows import rejected_path

ROWS = [{"domain": "qa", "prompt": f"Question {number}?", "ground_truth": str(number)} for number in range(5)]


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "data.jsonl"

    def write(rows):
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return write


def count(engine):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(Prompt))


def test_ingesting_twice_is_as_once(engine, dataset):
    path = dataset([*ROWS, ROWS[0]])
    first, second = ingest(engine, path, Defaults()), ingest(engine, path, Defaults())
    assert (first.new, first.known, first.by_domain) == (5, 1, {"qa": 6})
    assert (second.new, second.known, second.rejected) == (0, 6, 0)
    assert count(engine) == 5


def test_bad_rows_are_set_aside_with_their_line(engine, dataset, tmp_path):
    path = dataset([ROWS[0], "{broken", {"domain": "qa"}, ROWS[1]])
    place = rejected_path(tmp_path / "runs" / "rejected", path)
    report = ingest(engine, path, Defaults(), place)
    assert (report.accepted, count(engine)) == (2, 2)
    assert [rejection.line for rejection in report.examples] == [2, 3]
    assert report.rejected_file == str(place)
    kept = [json.loads(line) for line in place.read_text().splitlines()]
    assert [(row["line"], row["row"]) for row in kept] == [(2, "{broken"), (3, '{"domain": "qa"}')]


def test_memory_holds_a_few_bad_rows_and_the_file_all_of_them(engine, dataset):
    path = dataset(["{broken"] * 2500 + ROWS)
    place = path.with_suffix(".rejected")
    report = ingest(engine, path, Defaults(), place)
    assert (report.rejected, report.accepted, len(report.examples)) == (2500, 5, 20)
    assert [json.loads(line)["line"] for line in place.open()] == list(range(1, 2501))
    (reason,) = report.reasons.values()
    assert (reason.count, reason.lines) == (2500, [1, 2, 3])


def test_rows_of_one_prompt_in_one_batch_are_one_prompt_with_its_references(engine, dataset):
    ingest(engine, dataset([ROWS[0] | {"references": ["R"]}, ROWS[0]]), Defaults())
    with engine.connect() as connection:
        assert [question["references"] for question in connection.scalars(select(Prompt.question))] == [["R"]]


WIDE = {
    "domain": "qa",
    "prompt": "25!?",
    "verifier": "exact",
    "ground_truth": "?",
    "options": {"least": 10**25, "x": 0.1},
}


def test_options_are_stored_as_they_were_read(engine, dataset):
    ingest(engine, dataset([WIDE]), Defaults())
    with engine.connect() as connection:
        assert connection.scalar(select(Prompt.question))["options"] == WIDE["options"]


def test_a_row_that_says_nothing_new_is_not_written_again(engine, dataset):
    path = dataset(ROWS)
    ingest(engine, path, Defaults())
    place = select(text("ctid::text")).select_from(Prompt.__table__).order_by(Prompt.id)
    with engine.connect() as connection:
        before = list(connection.scalars(place))
    ingest(engine, path, Defaults())
    with engine.connect() as connection:
        assert list(connection.scalars(place)) == before


def test_a_prompt_keeps_its_split(engine, dataset):
    path = dataset(ROWS)
    ingest(engine, path, Defaults(split="heldout"))
    report = ingest(engine, path, Defaults(split="train"))
    assert report.accepted == 0
    assert "already in split 'heldout'" in report.examples[0].reason
    with engine.connect() as connection:
        assert set(connection.scalars(select(Prompt.split))) == {"heldout"}


def test_a_run_draws_from_what_it_was_given(engine, dataset):
    ingest(engine, dataset(ROWS[:2]), Defaults(), run_id="own")
    ingest(engine, dataset(ROWS[2:]), Defaults())
    ingest(engine, dataset(ROWS[1:3]), Defaults(), run_id="own")
    with engine.connect() as connection:
        own, other = (prompts_to_assess(connection, run, originals=True) for run in ("own", "other"))
        assert (len(own), len(other)) == (3, 5)


def test_a_skill_is_the_rows_own_or_the_sets_and_stays_if_a_later_file_names_none(engine, dataset):
    def skills():
        with engine.connect() as connection:
            return dict(connection.execute(select(Prompt.question["prompt"].astext, Prompt.skill)).tuples().all())

    path = dataset([ROWS[0] | {"skill": "nlp"}, ROWS[1], ROWS[2] | {"skill": "cooking"}])
    report = ingest(engine, path, Defaults(skill=Skill.CODING))
    assert skills() == {"Question 0?": "nlp", "Question 1?": "coding"}
    assert [rejection.reason[:38] for rejection in report.examples] == ["skill is 'cooking': expected one of lo"]
    ingest(engine, dataset([ROWS[0], ROWS[1] | {"skill": "stem"}]), Defaults())
    assert skills() == {"Question 0?": "nlp", "Question 1?": "stem"}


def test_ingesting_again_keeps_references_picked_since(engine, dataset):
    path = dataset(ROWS)
    ingest(engine, path, Defaults())
    with engine.begin() as connection:
        question = connection.scalar(select(Prompt.question).limit(1))
        question |= {"references": ["the best of eight"]}
        connection.execute(update(Prompt).values(question=question))
    ingest(engine, path, Defaults())
    with engine.connect() as connection:
        questions = list(connection.scalars(select(Prompt.question)))
    assert all(question["references"] == ["the best of eight"] for question in questions)
    assert {question["prompt"] for question in questions} == {f"Question {number}?" for number in range(5)}
    assert msgspec.json.encode(questions)


def test_a_stack_in_the_background_draws_from_its_own_prompts(empty_database, dataset, tmp_path):
    own = {"database": {"url": empty_database}, "run": {"folder": str(tmp_path / "runs")}}
    first, second = (
        with_own_prompts(Settings.model_validate(own | {"data": {"prompts": str(dataset(rows))}})).run.id
        for rows in (ROWS[:3], ROWS[2:])
    )
    engine = make_engine(empty_database)
    with engine.connect() as connection:
        drawn = [prompts_to_assess(connection, run, originals=True) for run in (first, second, "another")]
        assert [len(ids) for ids in drawn] == [3, 3, 5]
    engine.dispose()
    assert (tmp_path / "runs" / "latest").resolve().name == second


def test_text_and_json_of_any_kind_come_back_as_they_were(engine, dataset):
    odd = 'a\tb\nc\rd\\N \\. \\n "q" {x} é \u2028 \x7f \x01'
    row = {"domain": "q\\a", "prompt": odd, "verifier": "exact", "ground_truth": odd, "source": odd}
    row["options"] = {odd: [odd, 1.5, None, {"deep": odd}]}
    ingest(engine, dataset([row]), Defaults())
    with engine.connect() as connection:
        found = connection.execute(select(Prompt.domain, Prompt.source, Prompt.messages, Prompt.question)).one()
    assert (found.domain, found.source) == (row["domain"], odd)
    assert found.messages == [{"role": "user", "content": odd}]
    assert found.question == {"prompt": odd, "verifier": "exact", "ground_truth": odd, "options": row["options"]}


def test_commands_that_ingest_the_same_prompts_at_once_are_as_one(engine, dataset):
    """Each command's first look sees none of them; one writes, and the other finds them when it writes."""
    path, rows = dataset(ROWS * 300), [parse_row(row, Defaults()) for row in ROWS]
    with engine.begin() as connection:
        assert copy_rows(connection, Prompt, _COLUMNS, [as_value(row) for row in rows[:2]])
    with engine.begin() as connection:
        assert not copy_rows(connection, Prompt, _COLUMNS, [as_value(row) for row in rows[1:]])
        assert connection.scalar(select(func.count()).select_from(Prompt)) == 2
        _write(connection, _Batch(IngestReport("x"), values={row.id: as_value(row) for row in rows[1:]}))
        assert connection.scalar(select(func.count()).select_from(Prompt)) == 5
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: ingest(engine, path, Defaults()), range(2)))
    assert [report.accepted for report in reports] == [1500, 1500]
    assert count(engine) == 5


def as_value(row):
    return {name: getattr(row, name) for name in _COLUMNS}
