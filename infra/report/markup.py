"""Small pieces of HTML. Invariant: every text that comes from a run is escaped here."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: Any) -> Html:
    return value if isinstance(value, Html) else Html(escape(str(value)))


def section(title: str, lead: str, *parts: Html | None) -> Html:
    body = "".join(part for part in parts if part)
    return Html(f"<section><h2>{text(title)}</h2><p>{text(lead)}</p>{body}</section>") if body else Html("")


def picture(png: bytes | None, caption: str) -> Html | None:
    """Inside the page itself, so that the report is one file."""
    if png is None:
        return None
    return Html(f'<img alt="{text(caption)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">')


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Html | None:
    """A column whose first cell is a number is aligned to the right."""
    if not rows:
        return None
    right = [_is_number(cell) for cell in rows[0]]
    heads = "".join(_cell("th", name, numeric=numeric) for name, numeric in zip(head, right, strict=True))
    lines = "".join(
        f"<tr>{''.join(_cell('td', cell, numeric=numeric) for cell, numeric in zip(row, right, strict=True))}</tr>"
        for row in rows
    )
    return Html(f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>')


def cards(values: Mapping[str, Any]) -> Html:
    boxes = "".join(
        f'<div class="card"><b>{number(value)}</b><span>{text(name)}</span></div>' for name, value in values.items()
    )
    return Html(f'<div class="cards">{boxes}</div>')


def number(value: Any) -> Html:
    """Three digits after the point at most; what is missing is a dash."""
    if value is None:
        return Html("&ndash;")
    if isinstance(value, float):
        return Html(f"{value:,.3f}".rstrip("0").rstrip("."))
    if isinstance(value, int) and not isinstance(value, bool):
        return Html(f"{value:,}")
    return text(value)


def judged(value: str, *, good: bool) -> Html:
    return Html(f'<span class="{"good" if good else "bad"}">{text(value)}</span>')


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested numbers as (name, value) rows."""
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{label}: ")
        elif isinstance(value, (list, tuple)):
            rows.append((label, Html(", ".join(number(entry) for entry in value))))
        else:
            rows.append((label, value))
    return rows


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(tag: str, value: Any, *, numeric: bool) -> str:
    kind = ' class="n"' if numeric else ""
    return f"<{tag}{kind}>{number(value)}</{tag}>"
