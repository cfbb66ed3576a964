"""TLS in front of a Postgres whose build has none: it answers the SSLRequest, and passes the rest on."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.local.ports import LOOPBACK

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""The message by which a client asks for TLS (PostgreSQL's protocol, "SSLRequest")."""


@contextmanager
def tls_front(target: int, certificate: Path, key: Path) -> Iterator[int]:
    """Yields the port that speaks TLS for the one of `target`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server((LOOPBACK, 0))
    thread = threading.Thread(target=_accept, args=(listener, context, target), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _accept(listener: socket.socket, context: ssl.SSLContext, target: int) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, target), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, target: int) -> None:
    with suppress(OSError), client:  # a client that refuses the certificate hangs up
        assert client.recv(len(_SSL_REQUEST), socket.MSG_WAITALL) == _SSL_REQUEST
        client.sendall(b"S")
        secured = context.wrap_socket(client, server_side=True)
        with socket.create_connection((LOOPBACK, target)) as server:
            back = threading.Thread(target=_copy, args=(server, secured), daemon=True)
            back.start()
            _copy(secured, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
