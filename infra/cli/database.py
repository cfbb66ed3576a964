"""`rewardstream db`: the database's schema."""

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.options import DatabaseUrl, Recipe, Set, connections, resolve

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command()
def upgrade(*, recipe: Recipe = None, assignments: Set = None, database_url: DatabaseUrl = None) -> None:
    """Upgrade the schema to this version's; nothing changes if it is there already."""
    from infra.db.engine import shown
    from infra.db.migrate import upgrade as migrate

    database = resolve(recipe, assignments, *connections(None, database_url)).settings.database
    if not database.url:
        raise CommandError(
            "db upgrade needs a database: give --database-url postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE. "
            "The embedded server is upgraded by every command that starts it",
            ExitCode.USAGE,
        )
    revision = migrate(database.full_url(), database.connect_timeout_seconds)
    print(f"{shown(database.url)} is at {revision}")
