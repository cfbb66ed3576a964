"""The one-shot step before the services: puts models and prompts on the shared volume, and writes one settings file for
all services.

Invariant: settings.json is written last, so a service that starts after this step finds everything that the file names.
A second run prepares nothing again and writes the same file.
"""

import sys
import time
from dataclasses import replace
from statistics import fmean
from typing import Annotated

import typer

from infra.cli.demo import with_prepared
from infra.cli.errors import explain
from infra.cli.progress import Steps
from infra.local import run_folder
from infra.report.build import write_facts
from infra.report.summary import RunFacts
from infra.settings.load import load
from infra.settings.tree import Settings


def main(recipe: Annotated[str, typer.Option(help="A TOML recipe, or the name of a packaged one.")] = "demo") -> None:
    """Resolve recipe and environment into runs/ID/settings.json. If data.prompts is not set, the demo's model, judge
    and prompts are prepared first.
    """
    started = time.time()
    settings = load(recipe).settings
    run_id, folder = run_folder.make(settings)
    facts = RunFacts(
        wall_seconds=0,
        prepare_seconds=0,
        broker=f"cluster at {settings.broker.bootstrap_servers}",
        seed=settings.run.seed,
    )
    if settings.data.prompts is None:
        settings, facts = _prepare_demo(settings, facts, started)
    write_facts(folder, facts)
    print(f"run {run_id}: {run_folder.write_settings(settings, folder)}", flush=True)


def _prepare_demo(settings: Settings, facts: RunFacts, started: float) -> tuple[Settings, RunFacts]:
    from infra.demo.prepare import prepare

    prepared = prepare(settings, Steps())
    seconds = time.time() - started
    return with_prepared(settings, prepared), replace(
        facts,
        wall_seconds=seconds,
        prepare_seconds=seconds,
        base_scores={prompt: fmean(scores) for prompt, scores in prepared.base_scores.items() if scores},
        prepare_report=prepared.report,
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        print(f"error: {explained[1]}", file=sys.stderr)
        sys.exit(explained[0])
