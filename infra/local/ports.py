"""Loopback ports for the local stack.

Invariant: a port that is handed out could be bound a moment ago; a port that another process holds is an error that
says so.
"""

import socket

from infra.local.processes import LocalStackError

LOOPBACK = "127.0.0.1"


class PortTakenError(LocalStackError):
    def __init__(self, port: int, what: str) -> None:
        self.port = port
        super().__init__(
            f"port {port} on {LOOPBACK}, needed for {what}, is taken by another process: "
            f"stop that process (`ss -ltnp 'sport = :{port}'` names it) or choose another port"
        )


def port_is_free(port: int) -> bool:
    """Whether a listener can bind the loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as listeners do: a port in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that could be bound a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def claim_port(port: int, what: str) -> int:
    """Returns the port itself, or a free one for 0. Raises PortTakenError."""
    if port and not port_is_free(port):
        raise PortTakenError(port, what)
    return port or free_port()
