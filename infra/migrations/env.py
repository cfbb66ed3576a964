"""Alembic's environment: migrates on the connection that `infra.db.migrate` passes, in its transaction."""

from alembic import context
from sqlalchemy import Connection

from infra.db.models import Base


def run() -> None:
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("run migrations with `rewardstream db upgrade`, which opens the connection")
    context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


run()
