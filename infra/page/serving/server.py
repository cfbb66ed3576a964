"""Serves the page over HTTP, in a process of its own.

The server is the standard library's: a page for a few people needs no framework, it streams nothing, and its handlers
wait for Postgres in threads, which an event loop would have to move into threads as well.

Invariant: at most `CONNECTIONS` requests are answered at a time, and a client that stalls is dropped after
`STALL_SECONDS`, so that memory and threads are bounded whoever asks.
"""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.page.serving.answers import answer
from infra.page.serving.routes import PageData

CONNECTIONS = 16
"""A browser opens six connections to a host; more wait in the listen queue."""
STALL_SECONDS = 10.0
"""A browser sends its request with the connection, and takes megabytes over loopback in less than a second."""


class PageServer(ThreadingHTTPServer):
    """Listens at once; `serve_forever` answers. Raises OSError if the address is taken or not this machine's."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, data: PageData, host: str, port: int) -> None:
        self.data, self.bound = data, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The address to open; that of this machine's loopback if every address is listened on."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bound, self.bound)  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    """Each answer closes its connection, since a kept one would hold a thread while nothing is asked."""
    server_version, sys_version = "rewardstream", ""
    timeout = STALL_SECONDS
    server: PageServer

    def do_GET(self) -> None:
        found = answer(self.server.data, self.command, self.path, self.headers.get("Host", ""), self.server.bound)
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 (the base class's names)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Requests are not logged: a page that polls would fill the run's log."""
