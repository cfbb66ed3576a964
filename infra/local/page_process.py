"""The process that serves a run's page (infra.page), started by its name because the page stands on a higher floor.

Invariant: a run does not depend on its page: a page that cannot start, or dies, is said in the log and ends nothing.
"""

import logging
import sys
from pathlib import Path

from infra.local.ports import PortTakenError, claim_port
from infra.local.processes import ChildProcess, LocalStackError, spawn
from infra.settings.tree import Settings

log = logging.getLogger(__name__)

MODULE = "infra.page.serving.main"
_GRACE_SECONDS = 0.5
"""The page holds nothing that it would have to save."""


class PageProcess:
    """Serves from `start` to `stop`. `url` is the address to open; empty if there is no page."""

    def __init__(self) -> None:
        self.url = ""
        self._child: ChildProcess | None = None

    def start(self, settings: Settings, settings_file: Path, log_file: Path) -> None:
        """Does nothing if page.enabled is off."""
        if not settings.page.enabled:
            return
        try:
            port = claim_port(settings.page.port, "the page (page.port)")
            argv = [sys.executable, "-m", MODULE, str(settings_file.absolute()), str(port)]
            self._child = spawn("page", argv, log=log_file)
        except (PortTakenError, LocalStackError, OSError) as error:
            log.warning("the run has no page: %s", error)
            return
        self.url = f"http://{_shown(settings.page.host)}:{port}/"

    def stop(self) -> None:
        child, self._child, self.url = self._child, None, ""
        if child is not None:
            child.terminate(_GRACE_SECONDS)


def _shown(host: str) -> str:
    """The address as a browser on this machine writes it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"[{host}]" if ":" in host else host
