"""kafka-python, with the options that the promise needs: producers, group consumers and log readers."""

from streams.clients.connect import BrokerUnavailableError, make_admin, require_broker
from streams.clients.consuming import GroupMember, record_of
from streams.clients.producing import (
    Delivery,
    DeliveryError,
    RecordTooLargeError,
    confirm,
    make_producer,
    publish,
    send,
)
from streams.clients.reading import LogReader, OffsetsLostError, Reader
from streams.clients.security import BrokerSecurityError

__all__ = [
    "BrokerSecurityError",
    "BrokerUnavailableError",
    "Delivery",
    "DeliveryError",
    "GroupMember",
    "LogReader",
    "OffsetsLostError",
    "Reader",
    "RecordTooLargeError",
    "confirm",
    "make_admin",
    "make_producer",
    "publish",
    "record_of",
    "require_broker",
    "send",
]
