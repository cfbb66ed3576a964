"""Writes to the log. Nothing counts as written until its delivery is confirmed."""

import time
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from infra.outages import PartWait
from infra.settings.tree import BrokerSettings
from streams.clients.connect import BrokerUnavailableError, common_options, connected
from streams.codec import encode, headers_of
from streams.records import Output

_LINGER_MS = 20
"""Fills batches while many records are sent; a rollout took seconds to make, and `confirm` does not wait for it."""
_BATCH_BYTES = 2**20
"""Requests are what the broker's time goes to. The library's 16 KiB hold two small rollouts or none, which makes a
producer and its broker three times as slow."""
_SLICE_SECONDS = 1.0
"""How often a wait for the broker looks whether it should go on."""
_ID_POLL_SECONDS = 0.005
"""The broker answers within milliseconds."""


class DeliveryError(RuntimeError):
    """The broker did not acknowledge some records; they may or may not be in the log."""


class RecordTooLargeError(DeliveryError):
    """The record is larger than broker.max_message_bytes, so no broker of this run will ever take it."""


class Delivery(Protocol):
    """The part of kafka-python's future of one record that is used here."""

    def get(self, timeout: float | None = None) -> Any: ...


def make_producer(settings: BrokerSettings, bootstrap: str) -> KafkaProducer:
    """Returns an idempotent producer whose records all in-sync replicas acknowledge, and which keeps them for
    `broker.outage_seconds` if the broker is away. Raises BrokerUnavailableError. The caller closes it.
    """
    request_ms, outage_ms = int(settings.request_timeout_seconds * 1000), int(settings.outage_seconds * 1000)
    options = common_options(settings, bootstrap) | {
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": _LINGER_MS,
        "batch_size": min(_BATCH_BYTES, settings.max_message_bytes),
        "max_request_size": settings.max_message_bytes,
        "max_block_ms": outage_ms,
        "delivery_timeout_ms": max(outage_ms, request_ms + _LINGER_MS),
        "allow_auto_create_topics": False,
    }
    producer = connected(settings, bootstrap, lambda: KafkaProducer(**options))
    _await_producer_id(producer, settings, bootstrap)
    return producer


def _await_producer_id(producer: KafkaProducer, settings: BrokerSettings, bootstrap: str) -> None:
    """Wait until the producer has its id: kafka-python retries every request through an outage but this one, whose
    timeout ends the producer for good. Raises BrokerUnavailableError.
    """
    manager = producer._transaction_manager  # noqa: SLF001 (it has no public way to ask)
    deadline = time.monotonic() + settings.request_timeout_seconds
    while not manager.has_producer_id():
        if manager.has_fatal_error() or time.monotonic() > deadline:
            producer.close(timeout=0)
            raise BrokerUnavailableError(bootstrap, settings.request_timeout_seconds, "a producer got no id")
        time.sleep(_ID_POLL_SECONDS)


def publish(producer: KafkaProducer, topic: str, message: msgspec.Struct, key: str, **headers: str) -> Delivery:
    """Send a message with its schema headers; `confirm` its delivery."""
    return send(producer, Output(topic, key.encode(), encode(message), tuple(headers_of(message, **headers))))


def send(producer: KafkaProducer, output: Output) -> Delivery:
    """Send bytes as they are. Raises RecordTooLargeError, and DeliveryError if the record cannot be queued."""
    output = output.sendable
    try:
        delivery: Delivery = producer.send(
            output.topic, value=output.value, key=output.key, headers=list(output.headers)
        )
    except MessageSizeTooLargeError as error:
        raise RecordTooLargeError(f"topic {output.topic!r}: a record of {output.size} bytes: {error}") from error
    except KafkaError as error:
        raise DeliveryError(f"topic {output.topic!r}: {error!r}") from error
    return delivery


def confirm(producer: KafkaProducer, deliveries: Iterable[Delivery], timeout: float) -> None:
    """Flush and wait until each delivery is acknowledged. Raises DeliveryError if any is not within `timeout` s, and
    soon after the process was asked to stop.
    """
    deliveries = list(deliveries)
    failures: list[KafkaError] = []
    outage = PartWait("broker", timeout)
    while True:
        try:
            producer.flush(timeout=min(_SLICE_SECONDS, timeout))
        except KafkaTimeoutError as error:
            if not outage.waits(error):
                raise DeliveryError(f"{len(deliveries)} records not acknowledged in time: {error!r}") from error
        except KafkaError as error:
            raise DeliveryError(f"{len(deliveries)} records not acknowledged: {error!r}") from error
        else:
            break
    outage.over()
    for delivery in deliveries:
        try:
            delivery.get(timeout=0)
        except KafkaError as error:
            failures.append(error)
    if failures:
        count = f"{len(failures)} of {len(deliveries)}"
        raise DeliveryError(f"{count} records not acknowledged; the first: {failures[0]!r}") from failures[0]
