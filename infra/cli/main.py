"""The command `rewardstream`. Modules of the parts are imported by the command that needs them: `--help` is instant."""

import importlib.metadata
import sys

import typer

from infra.cli import database, topics
from infra.cli.errors import ExitCode, explain
from infra.cli.serve import serve

app = typer.Typer(
    name="rewardstream",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement learning for language models over a durable log.",
)
app.command()(serve)
app.add_typer(topics.app, name="topics")
app.add_typer(database.app, name="db")


@app.command()
def version() -> None:
    """The version of this installation."""
    print(importlib.metadata.version("rewardstream"))


def main() -> None:
    """Console script. Exit codes: 0 done, 1 failed, 2 usage or settings, 3 something needed is not there, 74 disk
    full, 130 interrupted.
    """
    try:
        app()
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        code, text = explained
        print(f"error: {text}", file=sys.stderr)
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
