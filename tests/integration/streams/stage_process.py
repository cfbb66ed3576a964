"""One stage of the loop as a process of its own, as `rewardstream serve` starts it.

python stage_process.py MODULE SETTINGS_JSON
"""

import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.settings.tree import Settings


@contextmanager
def running(module: str, settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Started, and killed at the end where it still runs."""
    arguments = [sys.executable, __file__, module, settings.model_dump_json()]
    with log.open("ab") as out:
        child = subprocess.Popen(arguments, stdout=out, stderr=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    module, settings_json = sys.argv[1:]
    settings = Settings.model_validate_json(settings_json)
    importlib.import_module(module).main(settings, settings.broker.bootstrap_servers)


if __name__ == "__main__":
    main()
