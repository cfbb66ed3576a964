"""A plan as text, and as JSON.

Invariant: both show the same figures; the text rounds them.
"""

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from infra.capacity.capacity_plan import CapacityPlan
from infra.capacity.hardware import GIB

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def to_json(plan: CapacityPlan) -> dict[str, Any]:
    """Bytes, seconds and counts, not rounded."""
    found = asdict(plan)
    found["learner"]["total"] = plan.learner.total
    found["engine"]["total"] = plan.engine.total
    found["rates"] |= {"bottleneck": plan.rates.bottleneck, "groups": plan.rates.groups}
    found["daily"]["log"]["total"] = plan.daily.log.total
    return found


def lines(plan: CapacityPlan) -> Iterator[str]:
    """One line per figure, under headings; lines of a heading are indented."""
    rows = plan.rows
    yield f"learner, per process ({plan.learners} of {plan.hardware.gpus} GPUs)"
    for part in fields(plan.learner):
        yield _line(part.name.replace("_", " "), _gib(getattr(plan.learner, part.name)))
    room = " with the engine on the same GPU" if plan.shares_gpu else ""
    yield _line("total", f"{_gib(plan.learner.total)} of {_gib(plan.hardware.gpu_memory)}{room}")
    yield f"engine, per GPU ({plan.engines} engines of {plan.engine.gpus} GPUs)"
    yield _line("weights", _gib(plan.engine.weights))
    yield _line("keys and values", f"{_gib(plan.engine.cache)}, {plan.engine.bytes_per_token} bytes per token")
    yield _line("work", _gib(plan.engine.work))
    yield _line("samples at a time", f"{plan.engine.samples}")
    yield "a step"
    yield _line("rows", f"{rows.rows} of up to {max(row.tokens for row in rows.fullest)} tokens")
    yield _line("tokens", f"{rows.tokens}, of which {rows.targets} of responses")
    yield _line("learner", f"{plan.step_seconds:.1f} s")
    yield "disk"
    yield _line("a version", f"{_bytes(plan.stored.version)}; {_bytes(plan.stored.versions)} for all that are kept")
    yield _line(
        "a checkpoint", f"{_bytes(plan.stored.checkpoint)}; {_bytes(plan.stored.checkpoints)} for all that are kept"
    )
    yield "a day"
    yield _line("groups", f"{plan.daily.groups:.0f}, in {plan.daily.steps:.0f} steps")
    for topic in fields(plan.daily.log):
        yield _line(f"log: {topic.name.replace('_', '.')}", _bytes(getattr(plan.daily.log, topic.name)))
    yield _line("log: all", f"{_bytes(plan.daily.log.total)}; {_bytes(plan.daily.log_kept)} kept by all replicas")
    yield _line("database", _bytes(plan.daily.database))
    yield "groups per second"
    for part in fields(plan.rates):
        mark = "  <- bottleneck" if part.name == plan.rates.bottleneck else ""
        yield _line(part.name, f"{getattr(plan.rates, part.name):.3g}{mark}")
    yield "fleet"
    yield _line("partitions", f"{plan.partitions} or more")
    yield _line("largest record", _bytes(plan.largest_record))
    yield "assumed (--assume NAME=VALUE)"
    for figure in fields(plan.assumptions):
        value = getattr(plan.assumptions, figure.name)
        shown = f"0, so {rows.response}" if figure.name == "response_tokens" and not value else f"{value:g}"
        yield _line(figure.name, shown)


def _line(name: str, value: str) -> str:
    return f"  {name:<22} {value}"


def _gib(count: float) -> str:
    return f"{count / GIB:.2f} GiB"


def _bytes(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_UNITS[-1]}"
