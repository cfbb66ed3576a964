"""`rewardstream page serve | export`: the local web page of a run, also of one that is over."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.runs import RUNS, RunName, RunPlace, RunsFolder, engine_of, find_run

app = typer.Typer(no_args_is_help=True, help="The local web page of a run.")


@app.command()
def serve(
    *,
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Serve the page of a run until Ctrl-C; its database is started if it is the embedded one and down."""
    from infra.page.serving.main import open_page

    place = find_run(run, runs)
    with _database(place, runs) as database, _log(place, runs) as bootstrap:
        chosen = place.settings.page.port if port is None else port
        try:
            server = open_page(place.settings, place.folder, database, bootstrap, chosen)
        except OSError as error:
            where = f"{place.settings.page.host}:{chosen}"
            raise CommandError(
                f"the page cannot listen on {where} ({error.strerror}): give --port", ExitCode.UNREACHABLE
            ) from error
        print(f"page of run {place.run_id}: {server.url} (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        finally:
            server.server_close()


@app.command()
def export(
    *,
    out: Annotated[Path, typer.Option(help="Folder to write; it does not exist yet.")],
    run: RunName = "latest",
    runs: RunsFolder = RUNS,
    groups: Annotated[int, typer.Option(min=1, help="The newest groups up to this number are written.")] = 2000,
) -> None:
    """Write the page of a run into one folder that opens in a browser, from a file or from any server."""
    from infra.page.readers.shown_run import ShownRun, open_reader
    from infra.page.serving.export import ExportFolderError
    from infra.page.serving.export import export as write
    from infra.page.serving.routes import PageData

    place = find_run(run, runs)
    with _database(place, runs) as database, _log(place, runs) as bootstrap:
        engine = open_reader(database, place.settings.database.connect_timeout_seconds)
        data = PageData(ShownRun(place.settings, place.folder, engine), bootstrap)
        try:
            count = write(data, out, groups, _show_progress)
        except ExportFolderError as error:
            raise CommandError(str(error), ExitCode.USAGE) from error
        finally:
            data.close()
    print(f"{count} groups of run {place.run_id}: open {(out / 'index.html').resolve()}")


def _show_progress(done: int, total: int) -> None:
    typer.echo(f"{done} of {total} groups", err=True)


@contextmanager
def _database(place: RunPlace, runs: Path) -> Iterator[str]:
    """URL of the run's database, which is up within the block."""
    with engine_of(place, runs) as engine:
        yield engine.url.render_as_string(hide_password=False)


@contextmanager
def _log(place: RunPlace, runs: Path) -> Iterator[str]:
    """Address of a broker that has the run's topics; empty if the log is gone, which the page then says."""
    from infra.cli.logs import open_log

    try:
        opened = open_log(place, place.settings, runs)
        address = opened.__enter__()
    except CommandError as error:
        print(f"the page has no log to read tokens and dead letters from: {error}", file=sys.stderr)
        yield ""
        return
    try:
        yield address
    finally:
        opened.__exit__(None, None, None)
