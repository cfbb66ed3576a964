"""The table as a page: `python -m infra.scalars.page` writes README.md into this folder."""

from pathlib import Path
from typing import Any

from infra.scalars import SECTIONS, Scalar

PAGE = Path(__file__).parent / "README.md"

_HEAD = """\
# Scalars: what each means, and when to worry

`python -m infra.scalars.page` writes this page from the table in this folder, which also defines Prometheus' metrics
and their help texts. Prometheus names have the prefix `rewardstream_`, and counters the suffix `_total`. The second
column is the name at TensorBoard and W&B (`learner.loggers`); a label is in braces. The healthy ranges are those of
runs that went well: a value outside of its range is worth a look, but does not prove a fault.
"""


def page() -> str:
    return "\n".join([_HEAD, *(_section(title, scalars) for title, scalars in SECTIONS.items())])


def _section(title: str, scalars: tuple[Scalar[Any], ...]) -> str:
    head = ("Prometheus", "logged as", "unit", "meaning", "healthy", "otherwise")
    rows = [head, ("---",) * len(head), *(_cells(scalar) for scalar in scalars)]
    return f"## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(scalar: Scalar[Any]) -> tuple[str, ...]:
    names = (scalar.metric, scalar.logged)
    texts = (scalar.unit, scalar.meaning, scalar.healthy, scalar.otherwise)
    return (*(f"`{name}`" if name else "" for name in names), *(text.replace("|", "\\|") for text in texts))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
