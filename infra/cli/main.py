"""The command `rewardstream`. Heavy modules are imported by the commands that need them, so that `--help` is fast."""

import importlib.metadata
import os
import sys

import typer

from infra.cli import (
    audit,
    database,
    dead_letters,
    demo,
    doctor,
    evaluate,
    experiment,
    page,
    plan,
    prompts,
    replay,
    report,
    rescore,
    rm,
    run_rows,
    score,
    serve,
    settings,
    stack,
    topics,
    train,
    why,
)
from infra.cli.errors import ExitCode, explain

app = typer.Typer(
    name="rewardstream",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement learning for language models over a durable log.",
)
app.command()(demo.demo)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(stack.up)
app.command()(stack.down)
app.command()(stack.status)
app.command()(stack.top)
app.command()(stack.reload)
app.command()(report.report)
app.command()(audit.audit)
app.command()(why.why)
app.command()(doctor.doctor)
app.command()(plan.plan)
app.command()(score.score)
app.command()(rescore.rescore)
app.command()(replay.replay)
app.command()(train.sft)
app.command()(experiment.experiment)
app.add_typer(prompts.app, name="prompts")
app.add_typer(rm.app, name="rm")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(topics.app, name="topics")
app.add_typer(database.app, name="db")
app.add_typer(run_rows.app, name="runs")
app.add_typer(page.app, name="page")
app.command()(settings.settings)
app.command()(serve.serve)


@app.command()
def version() -> None:
    """Print the version of this installation."""
    print(importlib.metadata.version("rewardstream"))


def main() -> None:
    """Console script. Exit codes: 0 done, 1 failed, 2 usage or settings, 3 something needed is not available, 65
    diverged, 74 disk full, 75 a service's part is away, 130 interrupted.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' bars would be in logs and on the screen
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


if __name__ == "__main__":
    main()
