"""Writes to the log. Nothing counts as written until its delivery is confirmed."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from infra.settings.tree import BrokerSettings
from streams.clients.connect import common_options, connected
from streams.codec import encode, headers_of
from streams.records import Output

_LINGER_MS = 5
"""Fills batches when many records are sent at once; far below any latency that matters here."""
_DELIVERY_REQUESTS = 4
"""A delivery fails after the time of this many requests: enough for a restart of the broker, short enough to notice
a dead one."""


class DeliveryError(RuntimeError):
    """The broker did not acknowledge some records; they may or may not be in the log."""


class TooLargeError(DeliveryError):
    """The record is larger than broker.max_message_bytes, so no broker of this run will ever take it."""


class Delivery(Protocol):
    """The part of kafka-python's future of one record that is used here."""

    def get(self, timeout: float | None = None) -> Any: ...


def make_producer(settings: BrokerSettings, bootstrap: str) -> KafkaProducer:
    """Returns an idempotent producer whose records all in-sync replicas acknowledge. Raises BrokerUnavailableError. The
    caller closes it.
    """
    request_ms = int(settings.request_timeout_seconds * 1000)
    options = common_options(settings, bootstrap) | {
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": _LINGER_MS,
        "max_request_size": settings.max_message_bytes,
        "max_block_ms": request_ms,
        "delivery_timeout_ms": _DELIVERY_REQUESTS * request_ms,
        "allow_auto_create_topics": False,
    }
    return connected(settings, bootstrap, lambda: KafkaProducer(**options))


def publish(producer: KafkaProducer, topic: str, message: msgspec.Struct, key: str, **headers: str) -> Delivery:
    """Send a message with its schema headers; `confirm` its delivery."""
    return send(producer, Output(topic, key.encode(), encode(message), tuple(headers_of(message, **headers))))


def send(producer: KafkaProducer, output: Output) -> Delivery:
    """Send bytes as they are. Raises TooLargeError, and DeliveryError if the record cannot be queued."""
    output = output.sendable
    try:
        delivery: Delivery = producer.send(
            output.topic, value=output.value, key=output.key, headers=list(output.headers)
        )
    except MessageSizeTooLargeError as error:
        raise TooLargeError(f"topic {output.topic!r}: a record of {output.size} bytes: {error}") from error
    except KafkaError as error:
        raise DeliveryError(f"topic {output.topic!r}: {error!r}") from error
    return delivery


def confirm(producer: KafkaProducer, deliveries: Iterable[Delivery], timeout: float) -> None:
    """Flush and wait until each delivery is acknowledged. Raises DeliveryError if any is not within `timeout` s."""
    deliveries = list(deliveries)
    failures: list[KafkaError] = []
    try:
        producer.flush(timeout=timeout)
    except KafkaError as error:
        raise DeliveryError(f"{len(deliveries)} records not acknowledged in {timeout:g} s: {error!r}") from error
    for delivery in deliveries:
        try:
            delivery.get(timeout=0)
        except KafkaError as error:
            failures.append(error)
    if failures:
        count = f"{len(failures)} of {len(deliveries)}"
        raise DeliveryError(f"{count} records not acknowledged; the first: {failures[0]!r}")
