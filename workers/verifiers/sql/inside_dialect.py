"""Runs in the sandbox, before inside_execute: defines functions of other dialects that SQLite lacks.

Invariant: a function depends on its arguments only, and a NULL argument gives NULL, except for `concat`. Dates are
texts, `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`; anything else is NULL. Months are added as in standard SQL: January 31
plus one month is the last day of February.
"""

import calendar
import re
import sqlite3
from datetime import date, datetime, timedelta
from typing import Any

PREFIX = "rewardstream_"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?\Z")
SECONDS = {"week": 604800, "day": 86400, "hour": 3600, "minute": 60, "second": 1}
MONTHS = {"year": 12, "quarter": 3, "month": 1}


def read(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) and DATE.match(text) else None
    except ValueError:
        return None


def written(when: datetime, *, like: Any) -> str:
    """Formats it as a date if `like` is a date, else with the time."""
    return when.strftime("%Y-%m-%d %H:%M:%S")[: 10 if len(str(like)) <= 10 else None]


def singular(unit: str) -> str:
    return unit.lower().removesuffix("s")


def part(unit: str, text: Any) -> int | None:
    when = read(text)
    if when is None:
        return None
    parts = {
        "year": when.year,
        "quarter": (when.month + 2) // 3,
        "month": when.month,
        "week": when.isocalendar()[1],
        "isoyear": when.isocalendar()[0],
        "day": when.day,
        "dow": when.isoweekday() % 7,
        "dayofweek": when.isoweekday() % 7,
        "isodow": when.isoweekday(),
        "doy": when.timetuple().tm_yday,
        "dayofyear": when.timetuple().tm_yday,
        "hour": when.hour,
        "minute": when.minute,
        "second": when.second,
        "year_month": when.year * 100 + when.month,
        "epoch": int((when - datetime(1970, 1, 1)).total_seconds()),  # noqa: DTZ001  texts have no zone
    }
    return parts[singular(unit) if singular(unit) in parts else unit.lower()]


def trunc(unit: str, text: Any) -> str | None:
    when = read(text)
    if when is None:
        return None
    unit = singular(unit)
    if unit in ("hour", "minute", "second"):
        kept = {"hour": 13, "minute": 16, "second": 19}[unit]
        return (when.strftime("%Y-%m-%d %H:%M:%S")[:kept] + ":00:00")[:19]
    day = when.date()
    starts = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
        "year": date(day.year, 1, 1),
    }
    return starts[unit].isoformat()


def add(text: Any, count: Any, unit: str) -> str | None:
    when, unit = read(text), singular(unit)
    if when is None or count is None:
        return None
    if unit in MONTHS:
        months = when.year * 12 + when.month - 1 + int(count) * MONTHS[unit]
        year, month = divmod(months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return written(when.replace(year=year, month=month + 1, day=min(when.day, last)), like=text)
    moved = when + timedelta(seconds=float(count) * SECONDS[unit])
    return written(moved, like=text if unit in ("day", "week") else "with a time")


def difference(unit: str, later: Any, earlier: Any) -> int | None:
    """Counts the boundaries of the unit between the two, like DATEDIFF."""
    one, other, unit = read(later), read(earlier), singular(unit)
    if one is None or other is None:
        return None
    if unit in MONTHS:
        return (one.year * 12 + one.month - 1) // MONTHS[unit] - (other.year * 12 + other.month - 1) // MONTHS[unit]
    if unit == "day":
        return one.toordinal() - other.toordinal()
    return int((one - other).total_seconds()) // SECONDS[unit]


def text_format(text: Any, form: Any) -> str | None:
    when = read(text)
    return None if when is None or form is None else when.strftime(str(form))


def shown(value: Any) -> str:
    return "" if value is None else str(value)


def concat(*values: Any) -> str:
    return "".join(map(shown, values))


def concat_ws(separator: Any, *values: Any) -> str | None:
    return None if separator is None else str(separator).join(str(value) for value in values if value is not None)


def pad(text: str, size: int, fill: str, *, left: bool) -> str:
    missing = max(int(size) - len(text), 0)
    padding = (fill * missing)[:missing] if fill else ""
    return (padding + text if left else text + padding)[: max(int(size), 0)]


def split_part(text: str, delimiter: str, number: int) -> str:
    parts = text.split(delimiter) if delimiter else [text]
    at = int(number) - 1 if int(number) > 0 else len(parts) + int(number)
    return parts[at] if 0 <= at < len(parts) else ""


def strict(function: Any) -> Any:
    """Wraps a function so that a NULL argument gives NULL and its first argument is a text."""

    def call(*values: Any) -> Any:
        if any(value is None for value in values):
            return None
        return function(*(str(value) if at == 0 else value for at, value in enumerate(values)))

    return call


FUNCTIONS = {
    "part": part,
    "trunc": trunc,
    "add": add,
    "difference": difference,
    "format": text_format,
    "concat": concat,
    "concat_ws": concat_ws,
    "left": strict(lambda text, size: text[: int(size)] if size else ""),
    "right": strict(lambda text, size: text[-int(size) :] if size else ""),
    "lpad": strict(lambda text, size, fill: pad(text, size, str(fill), left=True)),
    "rpad": strict(lambda text, size, fill: pad(text, size, str(fill), left=False)),
    "split_part": strict(split_part),
    "initcap": strict(lambda text: re.sub(r"[^\W_]+", lambda word: word.group().capitalize(), text)),
    "repeat": strict(lambda text, count: text * min(max(int(count), 0), 2**21)),
    "reverse": strict(lambda text: text[::-1]),
    "regexp": strict(lambda text, pattern: int(re.search(str(pattern), text) is not None)),
    "last_day": lambda text: (
        None if (day := read(text)) is None else day.strftime(f"%Y-%m-{calendar.monthrange(day.year, day.month)[1]}")
    ),
    "day_name": lambda text: text_format(text, "%A"),
    "month_name": lambda text: text_format(text, "%B"),
}


def register(connection: sqlite3.Connection, *, case_sensitive: bool) -> None:
    for name, function in FUNCTIONS.items():
        connection.create_function(PREFIX + name, -1, function, deterministic=True)
    if case_sensitive:
        connection.execute("PRAGMA case_sensitive_like = ON")
