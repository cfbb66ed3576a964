"""The table as a page: `python -m infra.scalars.page` writes README.md beside this file."""

from pathlib import Path

from infra.scalars import SECTIONS, Scalar

PAGE = Path(__file__).parent / "README.md"

_HEAD = """\
# Scalars: what each means, and when to worry

Made from the table in this folder by `python -m infra.scalars.page`; Prometheus' help texts come from it too.
Prometheus names have the prefix `rewardstream_`, and counters the suffix `_total`. Names at TensorBoard and W&B
(`learner.loggers`) are in the second column; what is in braces is a label. Ranges are those of runs that went well:
what departs from them is worth a look, not proof of a fault.
"""


def page() -> str:
    return "\n".join([_HEAD, *(_section(title, scalars) for title, scalars in SECTIONS.items())])


def _section(title: str, scalars: tuple[Scalar, ...]) -> str:
    head = ("Prometheus", "logged as", "unit", "meaning", "healthy", "otherwise")
    rows = [head, ("---",) * len(head), *(_cells(scalar) for scalar in scalars)]
    return f"## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(scalar: Scalar) -> tuple[str, ...]:
    names = (scalar.metric, scalar.logged)
    texts = (scalar.unit, scalar.meaning, scalar.healthy, scalar.otherwise)
    return (*(f"`{name}`" if name else "" for name in names), *(text.replace("|", "\\|") for text in texts))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
