"""The log of a process on stderr: text for people, or JSON for a collector (`logs.format`).

Invariant: with JSON, each line that Python code writes to stderr is one JSON object in ASCII, whatever is in it. A line
end inside a message is escaped; what a library prints without `logging` is wrapped, and so is the traceback of an
error that nobody caught. A service's stdout, which goes to the same file, is wrapped too.
"""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from infra.settings.logs import LogSettings

TEXT_FORMAT = "%(asctime)s {service} %(levelname)s %(name)s: %(message)s"
_NOISY = ("kafka", "aiokafka", "faust", "mode", "httpx", "urllib3", "alembic", "opentelemetry")
"""Libraries that log each request or rebalance as INFO; of them, warnings and errors are kept."""
_INHERITED = "INHERITED_JSON_LOGS"
"""Environment variable by which the helpers of a process log as it does: the object with its service and run."""
_LONGEST_LINE = 8192
"""Characters after which a wrapped line ends without a line end, so that a progress bar takes no memory."""
_VLLM_CONFIGURES = "VLLM_CONFIGURE_LOGGING"
"""vLLM gives its loggers a handler of their own unless this is 0."""

Context = Callable[[], Mapping[str, str]]
_context: list[Context] = []


def add_context(context: Context) -> None:
    """Adds the fields that `context` returns to each line of JSON, such as the ids of the current span."""
    if context not in _context:
        _context.append(context)


def set_up(settings: LogSettings, service: str, run: str = "", *, wrap_stdout: bool = False) -> None:
    """Sets up the root logger: one event per line, on stderr. Libraries log warnings and errors only.

    `wrap_stdout`: whether lines on stdout become JSON too; not for a command, whose stdout is its product.
    """
    if settings.format == "json":
        _set_up_json(service, run, wrap_stdout=wrap_stdout)
        os.environ[_INHERITED] = json.dumps({"service": service, "run": run})
        os.environ.setdefault(_VLLM_CONFIGURES, "0")
    else:
        text = TEXT_FORMAT.format(service=service)
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=text, force=True)
    for library in _NOISY:
        logging.getLogger(library).setLevel(logging.WARNING)


def set_up_command(settings: LogSettings, command: str, run: str = "") -> None:
    """Sets up the log of a command that logs next to nothing; as text, Python's own form of a warning suits it."""
    if settings.format == "json":
        set_up(settings, command, run)


def inherit() -> None:
    """Logs as the process that started this one, if that logs JSON; warnings and errors only."""
    text = os.environ.get(_INHERITED)
    if text:
        parent = json.loads(text)
        _set_up_json(parent["service"], parent["run"], wrap_stdout=True)
        logging.getLogger().setLevel(logging.WARNING)


def _set_up_json(service: str, run: str, *, wrap_stdout: bool) -> None:
    stderr = sys.stderr.real if isinstance(sys.stderr, JsonStream) else sys.stderr
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(JsonFormatter(service, run))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.stderr = JsonStream(stderr, handler, "stderr", logging.WARNING)
    if wrap_stdout and not isinstance(sys.stdout, JsonStream):
        sys.stdout = JsonStream(sys.stdout, handler, "stdout", logging.INFO)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time (RFC 3339, UTC), level, logger, service, run, message; exception, and
    the fields of `add_context`, where there are such.
    """

    def __init__(self, service: str, run: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "run": run}

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {
            "time": time,
            "level": record.levelname,
            "logger": record.name,
            **self._fixed,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        for context in _context:
            line |= context()
        return json.dumps({name: _clean(value) for name, value in line.items()})


def _clean(text: str) -> str:
    """Returns the text without halves of surrogate pairs, which strict readers of JSON refuse."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class JsonStream(io.TextIOBase):
    """Stands for stderr or stdout, and makes a record of each line that is written to it."""

    def __init__(self, real: TextIO, handler: logging.Handler, name: str, level: int) -> None:
        super().__init__()
        self.real = real
        self._handler, self._name, self._level = handler, name, level
        self._lock = threading.Lock()
        self._begun = ""

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            if len(self._begun) > _LONGEST_LINE:
                lines, self._begun = [*lines, self._begun], ""
        for line in filter(None, lines):
            self._emit(line)
        return len(text)

    def close(self) -> None:
        """Writes what has no line end yet. The real stream stays open."""
        with self._lock:
            line, self._begun = self._begun, ""
        if line:
            self._emit(line)

    def flush(self) -> None:
        self.real.flush()

    def fileno(self) -> int:
        return self.real.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override] # the base class has an attribute
        return self.real.encoding

    @property
    def buffer(self) -> Any:
        """The real stream's: bytes are passed on as they are."""
        return self.real.buffer

    def _emit(self, line: str) -> None:
        self._handler.handle(logging.LogRecord(self._name, self._level, "", 0, line, None, None))


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("rewardstream").critical("uncaught error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        name = args.thread.name if args.thread else "thread"
        error = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("rewardstream").critical("uncaught error in thread %s", name, exc_info=error)
