"""How tests wait for what another thread or process does: until a condition holds, and never for a fixed time."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
"""Asserts nothing: it ends a wait for what will never come. Sound waits take up to 20 s on two busy cores (imports, a
model's load, a group's join); at 120 s the timeout of a whole test would end it without saying what was awaited."""


def wait_until(
    condition: Callable[[], T],
    awaited: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    interval: float = 0.02,
    details: Callable[[], str] = str,
) -> T:
    """The condition's first true value.

    `awaited` completes "waited for ..." in the failure, to which `details` adds what came instead. `interval` is 0 if
    the condition itself blocks for a while.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {awaited}\n{details()}".rstrip())
        time.sleep(interval)
    return value


async def wait_in_loop_until(condition: Callable[[], bool], awaited: str) -> None:
    """Waits like `wait_until` while the tasks of the running event loop go on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_SECONDS:g} s for {awaited}")
        await asyncio.sleep(0.01)
