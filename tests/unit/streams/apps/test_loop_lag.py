"""The lag of an event loop, also while it is blocked."""

import asyncio
import time

from infra.metrics import metrics
from streams.apps.loop_lag import LoopLag


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(stage: str) -> float:
    return float(metrics.event_loop_lag_seconds.labels(stage).collect()[0].samples[0].value)


def test_the_largest_lag_of_half_a_minute_is_shown() -> None:
    clock = Clock()
    lag = LoopLag("router", clock)
    assert shown("router") == 0
    for clock.now, late in ((1.0, 0.5), (2.0, 2.0), (3.0, 0.1)):
        lag.note(late)
    assert shown("router") == 2.0
    clock.now = 31.9
    assert shown("router") == 2.0
    clock.now = 32.1
    assert shown("router") == 0.1
    lag.note(0.0)
    clock.now = 100
    assert shown("router") == 0


def test_a_blocked_loop_shows_while_it_is_blocked_and_after() -> None:
    async def block() -> tuple[float, float]:
        lag = LoopLag("rtv")
        watching = asyncio.ensure_future(lag.watch())
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 (what the metric is for)
        during = shown("rtv")
        await asyncio.sleep(0.3)
        watching.cancel()
        return during, shown("rtv")

    during, after = asyncio.run(block())
    assert during >= 0.3
    assert after >= 0.3
