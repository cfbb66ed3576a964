"""Connects to a broker.

Invariant: an absent broker raises one error, within the time limit, that names its address; and one that refuses the
client, or is refused by it, another, which names the setting.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, UnrecognizedBrokerVersion

from infra.settings.tree import BrokerSettings
from streams.clients.login import try_login
from streams.clients.security import BrokerSecurityError, client_options, refusal

C = TypeVar("C")

_RETRY_SECONDS = 0.2
"""A local broker opens its port within seconds of its start; asking five times a second costs nothing."""


class BrokerUnavailableError(ConnectionError):
    """No Kafka broker answers at the bootstrap addresses."""

    def __init__(self, bootstrap: str, seconds: float, reason: str) -> None:
        super().__init__(
            f"no Kafka broker answers at {bootstrap} within {seconds:g} s ({reason}): start it, or correct "
            "broker.bootstrap_servers (--bootstrap-servers)"
        )


def require_broker(settings: BrokerSettings, bootstrap: str) -> None:
    """Wait until one bootstrap address accepts a connection. Raises BrokerUnavailableError after
    `broker.connect_timeout_seconds`.
    """
    limit = settings.connect_timeout_seconds
    deadline = time.monotonic() + limit
    while True:
        failures = [_try_connect(address, deadline) for address in _parse_addresses(bootstrap)]
        if not failures:
            raise BrokerUnavailableError(bootstrap, 0, "the list of addresses is empty")
        if None in failures:
            return
        if time.monotonic() + _RETRY_SECONDS >= deadline:
            raise BrokerUnavailableError(bootstrap, limit, "; ".join(str(failure) for failure in failures))
        time.sleep(_RETRY_SECONDS)


def common_options(settings: BrokerSettings, bootstrap: str) -> dict[str, Any]:
    """Options of every kafka-python client of this project. Raises BrokerSecurityError, SecretFileError."""
    return client_options(settings.security) | {
        "bootstrap_servers": bootstrap.split(","),
        "bootstrap_timeout_ms": int(settings.connect_timeout_seconds * 1000),
        "request_timeout_ms": int(settings.request_timeout_seconds * 1000),
        "receive_message_max_bytes": max(100_000_000, 2 * settings.max_message_bytes),
    }


def connected(settings: BrokerSettings, bootstrap: str, make: Callable[[], C]) -> C:
    """Returns `make()`, a client's constructor, once the broker accepts connections. Raises BrokerUnavailableError,
    BrokerSecurityError, SecretFileError.
    """
    require_broker(settings, bootstrap)
    with _failed_attempts() as failures:
        try:
            return make()
        except (KafkaTimeoutError, KafkaConnectionError, UnrecognizedBrokerVersion) as error:
            for failure in [*failures, *_login_failures(settings, bootstrap)]:
                if (refused := refusal(settings.security, bootstrap, failure)) is not None:
                    raise refused from failure
            reason = f"{failures[-1] if failures else error}; its port is open: is it a listener for "
            reason += f"broker.security.protocol = {settings.security.protocol!r}?"
            raise BrokerUnavailableError(bootstrap, settings.connect_timeout_seconds, reason) from error


def _login_failures(settings: BrokerSettings, bootstrap: str) -> Iterator[Exception]:
    if settings.security.sasl:
        for address in _parse_addresses(bootstrap):
            try:
                try_login(client_options(settings.security), address, settings.connect_timeout_seconds)
            except (OSError, KafkaError, BrokerSecurityError, ValueError) as error:
                yield error


@contextmanager
def _failed_attempts() -> Iterator[list[Exception]]:
    """Yields a list that grows by the error of each attempt to connect. kafka-python tries again whatever the error is,
    and only logs it.
    """
    failures: list[Exception] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            arguments = record.args if isinstance(record.args, tuple) else ()
            failures.extend(each for each in arguments if isinstance(each, Exception))

    collector, logger = Collector(), logging.getLogger("kafka.net.manager")
    logger.addHandler(collector)
    try:
        yield failures
    finally:
        logger.removeHandler(collector)


def make_admin(settings: BrokerSettings, bootstrap: str) -> KafkaAdminClient:
    """Raises BrokerUnavailableError. The caller closes it."""
    return connected(settings, bootstrap, lambda: KafkaAdminClient(**common_options(settings, bootstrap)))


def _parse_addresses(bootstrap: str) -> list[tuple[str, int]]:
    pairs = [item.strip().rpartition(":") for item in bootstrap.split(",") if item.strip()]
    try:
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]
    except ValueError as error:
        raise ValueError(f"broker.bootstrap_servers: {bootstrap!r} is not HOST:PORT[,HOST:PORT...]") from error


def _try_connect(address: tuple[str, int], deadline: float) -> OSError | None:
    left = max(deadline - time.monotonic(), _RETRY_SECONDS)
    try:
        socket.create_connection(address, timeout=left).close()
    except OSError as error:
        return error
    return None
