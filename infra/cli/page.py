"""`rewardstream page serve | export`: the local web page of a run, also of one that is over."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.errors import CommandError, ExitCode
from infra.cli.runs import RUNS, RunName, RunPlace, RunsFolder, engine_of, find_run

if TYPE_CHECKING:
    from pathlib import Path

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


@contextmanager
def _database(place: RunPlace, runs: "Path") -> Iterator[str]:
    """URL of the run's database, which is up within the block."""
    with engine_of(place, runs) as engine:
        yield engine.url.render_as_string(hide_password=False)


@contextmanager
def _log(place: RunPlace, runs: "Path") -> Iterator[str]:
    """Address of a broker that has the run's topics; empty if the log is gone, which the page then says."""
    from infra.cli.logs import open_log

    try:
        opened = open_log(place, place.settings, runs)
        address = opened.__enter__()
    except CommandError:
        yield ""
        return
    try:
        yield address
    finally:
        opened.__exit__(None, None, None)
