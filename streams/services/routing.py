"""The router's decision: from a record's headers alone to the topics it goes to, body untouched."""

import hashlib
from dataclasses import dataclass

from streams.codec import header
from streams.dead_letters import dead_letter
from streams.messages import Route
from streams.records import Output, Record

SHADOW_HEADER = "shadow"
"""Marks a copy that GenRM scores for calibration; the learner does not train on its score."""


class UnknownRouteError(ValueError):
    """The record's `route` header is missing or names no scorer."""


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Pure: the same records give the same outputs, also after a restart."""

    stage: str
    topics: dict[Route, str]
    dead_letters: str
    shadow_share: float
    """In [0, 1]: share of the groups with a verifier that GenRM scores too."""

    async def handle(self, records: list[Record]) -> list[Output]:
        return [output for record in records for output in self.route(record)]

    def route(self, record: Record) -> list[Output]:
        name = header(record.headers, "route")
        try:
            route = Route(name or "")
        except ValueError:
            expected = ", ".join(Route)
            error = UnknownRouteError(f"route {name!r} in the headers; expected one of {expected}")
            return [dead_letter(record, error, self.stage, self.dead_letters)]
        outputs = [Output(self.topics[route], record.key, record.value, record.headers)]
        if route is Route.RTV and in_share(record.key or b"", self.shadow_share):
            headers = (*record.headers, (SHADOW_HEADER, b"1"))
            outputs.append(Output(self.topics[Route.GENRM], record.key, record.value, headers))
        return outputs


def in_share(key: bytes, share: float) -> bool:
    """Whether a key falls into the share: by its hash, so a group is in or out as a whole and for ever."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8]) < share * 2**64
