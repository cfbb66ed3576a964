"""The migrations make what the models say, and a database that is not there is named."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text
from support.score_rows import record

from infra.db.engine import DatabaseUnavailableError, DatabaseUrlError, connect, make_engine, shown
from infra.db.migrate import alembic_config, current, head, upgrade
from infra.db.models import Base, Group, PromptStats
from infra.db.sink import ScoreSink
from infra.db.statistics import posterior
from infra.settings.tree import Settings
from trainer.prompts.dataset import Defaults, parse_row
from trainer.prompts.ingest import ingest_rows


def test_models_and_migrations_do_not_drift(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrade_again_changes_nothing(empty_database):
    engine = make_engine(empty_database)
    assert current(engine) is None
    assert upgrade(empty_database) == upgrade(empty_database) == current(engine) == head()
    engine.dispose()


def test_downgrade_leaves_no_table(engine):
    from alembic import command

    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_evidence_is_counted_again_from_the_scores(engine):
    """Rows of the schema before, as its sink wrote them, get what the sink of today would have written."""
    from alembic import command

    decay = Settings().difficulty.decay_per_version
    records = [record(version, score) for version, score in ((3, 0.25), (9, 1.0), (9, 0.5), (30_000, 0.0), (2, None))]
    records = [replace(scored, rollout_id=f"r:{number}/0") for number, scored in enumerate(records)]
    ScoreSink(engine, decay, "difficulty").write(records)
    evidence = select(PromptStats.successes, PromptStats.failures, PromptStats.evidence_version)
    with engine.begin() as connection:
        written = connection.execute(evidence).one()
        command.downgrade(alembic_config(connection), "0002")
        mean, last_version = connection.execute(text("SELECT decayed_mean, last_version FROM prompt_stats")).one()
        command.upgrade(alembic_config(connection), "head")
        assert tuple(connection.execute(evidence).one()) == pytest.approx(tuple(written))
    assert (mean, last_version) == (pytest.approx(posterior(*written[:2]).mean), 30_000)


def test_closed_groups_lose_their_tickets_and_all_keep_the_digest(engine):
    from alembic import command

    parsed = parse_row({"domain": "qa", "prompt": "1?", "verifier": "exact"}, Defaults())
    ingest_rows(engine, [parsed])
    fixed = {"run_id": "r", "prompt_id": parsed.id, "purpose": "train", "samples": 1, "dispatched_version": 0}
    fixed |= {"dispatched_lineage": 0, "deadline": datetime.now(UTC), "ticket": b"bytes", "ticket_digest": b""}
    rows = [fixed | {"seq": seq, "group_id": f"r:{seq}", "outcome": end} for seq, end in enumerate(("trained", None))]
    with engine.begin() as connection:
        connection.execute(insert(Group), rows)
        command.downgrade(alembic_config(connection), "0011")
        command.upgrade(alembic_config(connection), "head")
        found = connection.execute(select(Group.ticket, Group.ticket_digest).order_by(Group.seq)).all()
    digest = sha256(b"bytes").digest()
    assert [tuple(row) for row in found] == [(None, digest), (b"bytes", digest)]


def test_a_database_that_is_not_there_is_named_without_its_password():
    with pytest.raises(DatabaseUnavailableError) as raised:
        connect("postgresql://user:geheim@127.0.0.1:1/rewards", connect_timeout_seconds=2)
    message = str(raised.value)
    assert "postgresql+psycopg://user:***@127.0.0.1:1/rewards" in message
    assert "refused" in message
    assert "--database-url" in message
    assert "geheim" not in message


@pytest.mark.parametrize("url", ["sqlite:///x.db", "not a url", "mysql://u:geheim@h/d", ""])
def test_a_url_that_is_not_postgres_is_refused(url):
    with pytest.raises(DatabaseUrlError, match=r"postgresql\+psycopg://") as raised:
        connect(url)
    assert "geheim" not in str(raised.value)


def test_the_password_is_hidden_where_a_url_is_shown():
    assert shown("postgres://u:geheim@h:5/d") == "postgresql+psycopg://u:***@h:5/d"
