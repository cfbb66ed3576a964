"""One stage of the loop as a process of its own, as `rewardstream serve` starts it.

python stage_process.py MODULE SETTINGS_JSON
"""

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from infra.settings.tree import Settings


def running(module: str, settings: Settings, log: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Started, and killed at the end where it still runs."""
    return _process([sys.executable, __file__, module, settings.model_dump_json()], log)


def serving_stage(
    stage: str, settings_file: Path, log: Path, metrics_port: int, env: Mapping[str, str]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """`rewardstream serve STAGE` on a settings file, likewise."""
    command = [sys.executable, "-m", "infra.cli.main", "serve", stage, "--settings-file", str(settings_file)]
    return _process([*command, "--metrics-port", str(metrics_port)], log, env)


@contextmanager
def _process(
    arguments: list[str], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        child = subprocess.Popen(arguments, stdout=out, stderr=out, env=os.environ | (env or {}))
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
