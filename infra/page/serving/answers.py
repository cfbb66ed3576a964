"""What the server answers to a request, apart from sockets. Pure but for what `PageData` reads.

Invariants
- Only GET and HEAD are answered, and none changes anything.
- A request that names another host than this server's is refused, so that a web page whose name resolves to this
  machine cannot read the run through a browser (DNS rebinding).
- No answer lets a browser run a script, load a style or send a request that is not from this server.
"""

import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from infra.advice.story import UnknownNameError
from infra.page.serving.routes import PageData

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAMES = ("localhost",)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def answer(data: PageData, method: str, target: str, host: str, bound: str) -> HttpAnswer:
    """`target`: path and query of the request; `host`: its Host header; `bound`: the address that is listened on."""
    if method not in ("GET", "HEAD"):
        return _refusal(405, f"{method} is not answered: the page only reads", Allow="GET, HEAD")
    if not is_own_host(host, bound):
        return _refusal(403, f"the Host header {host!r} is not this server's: open the printed address")
    parts = urlsplit(target)
    path = unquote(parts.path).lstrip("/")
    if path.startswith("api/") and path.endswith(".json"):
        return _json(data, path.removeprefix("api/").removesuffix(".json"), dict(parse_qsl(parts.query)))
    return _asset(path or "index.html")


def is_own_host(host: str, bound: str) -> bool:
    """Whether a Host header names this server by an address, or as localhost: a rebound name is never one of these."""
    name = urlsplit(f"//{host}").hostname or ""
    if name in _NAMES or name == bound:
        return True
    try:
        asked = ipaddress.ip_address(name)
    except ValueError:
        return False
    return asked.is_loopback or not _is_loopback(bound)


def _is_loopback(bound: str) -> bool:
    try:
        return bound in _NAMES or ipaddress.ip_address(bound).is_loopback
    except ValueError:
        return False


def _json(data: PageData, path: str, query: Mapping[str, str]) -> HttpAnswer:
    try:
        return _answer(200, "application/json", encode(data.read(path, query)))
    except UnknownNameError as error:
        return _refusal(404, str(error))
    except ValueError as error:
        return _refusal(400, str(error))
    except SQLAlchemyError as error:
        log.warning("%s: %s", path, error)
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return _refusal(503, f"the database does not answer: {reason}")


def encode(value: object) -> bytes:
    """The value as JSON; a number that is not finite becomes null, since JSON has none."""
    return msgspec.json.encode(value)


def _asset(path: str) -> HttpAnswer:
    file = asset(path)
    kind = _TYPES.get(path.rpartition(".")[2])
    if file is None or kind is None:
        return _refusal(404, f"there is no page {path!r}")
    return _answer(200, kind, file.read_bytes())


def asset(path: str) -> Traversable | None:
    """A file of the page; None if there is none of this name."""
    found = static()
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return None
        found = found / part
    return found if found.is_file() else None


def static() -> Traversable:
    """The folder of the page's own files."""
    return files("infra.page") / "static"


def _refusal(status: int, error: str, **headers: str) -> HttpAnswer:
    return _answer(status, "application/json", encode({"error": error}), **headers)


def _answer(status: int, kind: str, body: bytes, **headers: str) -> HttpAnswer:
    own = {"Content-Type": kind, "Content-Length": str(len(body))}
    return HttpAnswer(status=status, headers=_HEADERS | own | headers, body=body)
