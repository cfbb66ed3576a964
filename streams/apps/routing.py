"""The router's decision: a record's headers alone say to which topics it goes; its body stays untouched."""

import sys
from dataclasses import dataclass

from streams.codec import header
from streams.dead_letters import dead_letter
from streams.messages import Route
from streams.records import Output, Record
from streams.route_headers import ROUTE_HEADER, SHADOW_HEADER, SHADOW_ROUTE_HEADER, in_share

_SHADOW = (SHADOW_HEADER, b"1")


class RoutingError(ValueError):
    """The record cannot be sent to a scorer."""


class UnknownRouteError(RoutingError):
    """A header that names a route is missing or names no scorer."""


@dataclass(frozen=True, kw_only=True)
class RoutingHandler:
    """Pure: the same records give the same outputs, also after a restart."""

    stage: str
    topics: dict[Route, str]
    dead_letters: str
    shadow_share: float
    """Fraction of groups, in [0, 1], that the other route scores too if it can."""
    largest: int = sys.maxsize
    """Bytes of the largest record that the broker takes."""

    async def handle(self, records: list[Record]) -> list[Output]:
        return [output for record in records for output in self.route(record)]

    def route(self, record: Record) -> list[Output]:
        try:
            route = _parse_route(ROUTE_HEADER, header(record.headers, ROUTE_HEADER))
            other = header(record.headers, SHADOW_ROUTE_HEADER)
            shadow = None if other is None else _parse_route(SHADOW_ROUTE_HEADER, other)
            self._require_room(record)
        except RoutingError as error:
            return [dead_letter(record, error, self.stage, self.dead_letters)]
        outputs = [Output(self.topics[route], record.key, record.value, record.headers)]
        if shadow is not None and in_share(record.key or b"", self.shadow_share):
            headers = (*record.headers, _SHADOW)
            outputs.append(Output(self.topics[shadow], record.key, record.value, headers))
        return outputs

    def _require_room(self, record: Record) -> None:
        """Raises RoutingError if the record would not fit once it has another header."""
        size = Output("", record.key, record.value, (*record.headers, _SHADOW)).size
        if size > self.largest:
            raise RoutingError(f"{size} bytes with its headers are more than broker.max_message_bytes ({self.largest})")


def _parse_route(name: str, value: str | None) -> Route:
    """Raises UnknownRouteError."""
    try:
        return Route(value or "")
    except ValueError:
        raise UnknownRouteError(f"{name} {value!r} in the headers; expected one of {', '.join(Route)}") from None
