"""The port on which a process tells how it is: /metrics for Prometheus, /healthz and /readyz for Kubernetes' probes.

Invariant: the port answers from a thread of its own, so a process that loads or computes is healthy all the while.
/healthz is 200 as long as the process answers; a stalled service ends by itself (`streams.lag`), so no probe has to
find that out. /readyz is 503 until the service has loaded and works (`infra.readiness`), and then 200.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from infra import readiness

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Quiet(WSGIRequestHandler):
    """A probe every few seconds would fill the log."""

    def log_message(self, *_: Any) -> None:
        pass


def serve(host: str, port: int, *, with_metrics: bool = True) -> Callable[[], None]:
    """Starts the endpoint; port 0 starts none. Returns what stops it. Raises OSError if the port is taken, or the host
    unknown.
    """
    if not port:
        return lambda: None
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    of_family: type[WSGIServer] = type("EndpointServer", (ThreadingWSGIServer,), {"address_family": family})
    server = make_server(str(address[0]), port, _app(with_metrics=with_metrics), of_family, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _app(*, with_metrics: bool) -> App:
    metrics: App | None = make_wsgi_app() if with_metrics else None

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                status, text = HTTPStatus.OK, "ok"
            case "/readyz" if readiness.works.is_set():
                status, text = HTTPStatus.OK, "ready"
            case "/readyz":
                status, text = HTTPStatus.SERVICE_UNAVAILABLE, "loading"
            case _ if metrics is not None:
                return metrics(environ, start_response)
            case _:
                status, text = HTTPStatus.NOT_FOUND, "this process of several serves no metrics; its leader does"
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{text}\n".encode()]

    return app
