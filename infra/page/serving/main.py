"""The process that serves a run's page: `python -m infra.page.serving.main SETTINGS_FILE PORT`.

Invariant: it yields to whatever trains: it runs at the lowest priority that still answers a person, and nothing waits
for it. Its death ends nothing.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from infra.page.readers.shown_run import ShownRun, open_reader
from infra.page.serving.routes import PageData
from infra.page.serving.server import PageServer
from infra.settings.load import load
from infra.settings.tree import Settings

_NICENESS = 10
"""A process of this niceness gets a tenth of a busy core's time: enough for a page, and the learner loses no step."""


def open_page(settings: Settings, folder: Path, database: str, bootstrap: str, port: int) -> PageServer:
    """A server that listens. `database`: URL of the run's database; `bootstrap`: a broker with its topics, or empty.
    Raises OSError if the address cannot be listened on.
    """
    engine = open_reader(database, settings.database.connect_timeout_seconds)
    data = PageData(ShownRun(settings, folder, engine), bootstrap)
    try:
        return PageServer(data, settings.page.host, port)
    except BaseException:
        data.close()
        raise


def main(settings_file: Path, port: int) -> None:
    settings = load(str(settings_file)).settings
    os.nice(_NICENESS)
    bootstrap = settings.broker.bootstrap_servers
    server = open_page(settings, settings_file.parent, settings.database.full_url(), bootstrap, port)

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s page %(levelname)s: %(message)s")
    main(Path(sys.argv[1]), int(sys.argv[2]))
