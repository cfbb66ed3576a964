"""HTTP to an OpenAI-compatible server, with one error class for each way to fail.

Invariants:
- The deadline covers the whole call, however slowly its bytes arrive; nothing is read beyond ANSWER_BYTES.
- OutageError: the same request may be answered later. RefusedError: this request will not be. MissingError: the server
  has no such path. NonsenseError: the server answered something else than was asked.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

ANSWER_BYTES = 64 * 2**20
"""Twenty log-probs take 1 KiB per prompt; 256 prompts with votes of 4k tokens take 16 MiB."""
_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_MISSING = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}


class EndpointError(Exception):
    """The message says what the server did; the caller that reports it names the server."""


class OutageError(EndpointError):
    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class GoneError(OutageError):
    """No connection, or a broken one: the next answer may come from another server."""


class RefusedError(EndpointError):
    """HTTP 400, 413, 422."""


class MissingError(EndpointError):
    """HTTP 404, 405, 501."""


class NonsenseError(EndpointError):
    """HTTP 200 with unexpected content."""


class GarbledError(NonsenseError):
    """The answer has not even the right shape. If every answer is garbled, the cause is the server and not
    the prompts.
    """


class Endpoint:
    """One server; `base` is its URL with /v1. Use it in one event loop, and close it there."""

    def __init__(self, base: str, api_key: str, connections: int) -> None:
        self.base = base.rstrip("/")
        self.root = self.base.removesuffix("/v1")
        """URL under which vLLM has the paths that OpenAI's API does not define."""
        # Idle connections are closed before the server closes them, which uvicorn does after five seconds.
        limits = httpx.Limits(max_connections=connections, keepalive_expiry=2.0)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # The caller's deadline bounds the whole call; a timeout per read would not.
        self._client = httpx.AsyncClient(headers=headers, limits=limits, timeout=None)  # noqa: S113 (as said)
        self._free = asyncio.Semaphore(connections)

    async def post(self, url: str, body: Mapping[str, Any], deadline: float) -> Any:
        """Returns the decoded JSON. `deadline` is on time.monotonic(). Raises EndpointError."""
        content = await self._request("POST", url, deadline, json.dumps(body).encode())
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise GarbledError(f"its answer is not JSON: {content[:200]!r}") from error

    async def get(self, url: str, deadline: float) -> str:
        """Raises EndpointError."""
        return (await self._request("GET", url, deadline)).decode(errors="replace")

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(self, method: str, url: str, deadline: float, body: bytes | None = None) -> bytes:
        try:
            async with asyncio.timeout(deadline - time.monotonic()), self._free:
                return await self._exchange_bytes(method, url, body)
        except TimeoutError as error:
            raise OutageError("timeout: no whole answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise GoneError(f"{type(error).__name__}: {error}") from error

    async def _exchange_bytes(self, method: str, url: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self._client.stream(method, url, content=body, headers=headers) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > ANSWER_BYTES:
                    raise NonsenseError(f"its answer is longer than {ANSWER_BYTES} bytes")
        self._require_ok(response, bytes(content[:200]).decode(errors="replace"))
        return bytes(content)

    def _require_ok(self, response: httpx.Response, text: str) -> None:
        status = response.status_code
        if status == HTTPStatus.OK:
            return
        why = f"HTTP {status}: {text}"
        if status in _MISSING:
            raise MissingError(why)
        if status in _REFUSED:
            raise RefusedError(why)
        raise OutageError(why, retry_after(response.headers.get("Retry-After")))


def retry_after(value: str | None) -> float | None:
    """Returns the seconds that the header asks for, which holds seconds or a date (RFC 9110, 10.2.3); None if it holds
    neither.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < float("inf") else None
