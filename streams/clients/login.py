"""One login by hand, to learn why a broker refuses a client.

A broker answers a wrong password and closes the connection at once. kafka-python, when it reads both together, only
tells that the connection was lost, which an outage looks like, too. This reads the answer.
"""

import socket
import struct
from typing import Any

from kafka.errors import KafkaError, SaslAuthenticationFailedError, for_code
from kafka.net.sasl import get_sasl_mechanism

_HANDSHAKE, _AUTHENTICATE = 17, 36
"""Kafka's numbers of the two requests (SaslHandshake version 1, SaslAuthenticate version 0)."""
_CORRELATION, _VERSION = 1, {_HANDSHAKE: 1, _AUTHENTICATE: 0}
_LARGEST_ANSWER = 2**20


def try_login(options: dict[str, Any], address: tuple[str, int], timeout_seconds: float) -> None:
    """Logs in and hangs up. `options` are those of `client_options`, with SASL. Raises what the broker refuses the
    client for, ssl.SSLError, and OSError if the connection fails.
    """
    host, _ = address
    mechanism = get_sasl_mechanism(options["sasl_mechanism"])(host=host, **options)
    with socket.create_connection(address, timeout_seconds) as plain:
        context = options.get("ssl_context")
        connection = context.wrap_socket(plain, server_hostname=host) if context is not None else plain
        name = options["sasl_mechanism"].encode()
        _ask(connection, _HANDSHAKE, struct.pack(">h", len(name)) + name)
        while not mechanism.is_done():
            proof = mechanism.auth_bytes()
            mechanism.receive(_ask(connection, _AUTHENTICATE, struct.pack(">i", len(proof)) + proof))
        if not mechanism.is_authenticated():
            raise SaslAuthenticationFailedError("the broker's answer ends the login")


def _ask(connection: socket.socket, request: int, body: bytes) -> bytes:
    """Returns the answer's bytes for the mechanism; what a handshake answers is not needed. Raises KafkaError."""
    head = struct.pack(">hhih", request, _VERSION[request], _CORRELATION, -1)  # no client id
    connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
    size = struct.unpack(">i", _read(connection, 4))[0]
    if not 6 <= size <= _LARGEST_ANSWER:
        raise ConnectionError(f"an answer of {size} bytes is not one of a Kafka broker")
    answer = _read(connection, size)
    code = struct.unpack(">h", answer[4:6])[0]
    if request == _HANDSHAKE:
        _raise_if(code, "")
        return b""
    text, rest = _text(answer[6:])
    _raise_if(code, text)
    return rest[4:]


def _raise_if(code: int, text: str) -> None:
    if code:
        kind = for_code(code)
        raise kind(text) if issubclass(kind, KafkaError) else KafkaError(text)


def _text(raw: bytes) -> tuple[str, bytes]:
    length = struct.unpack(">h", raw[:2])[0]
    end = 2 + max(0, length)
    return raw[2:end].decode("utf-8", "replace"), raw[end:]


def _read(connection: socket.socket, size: int) -> bytes:
    raw = b""
    while len(raw) < size:
        part = connection.recv(size - len(raw))
        if not part:
            raise ConnectionError("the broker closed the connection during the login")
        raw += part
    return raw
