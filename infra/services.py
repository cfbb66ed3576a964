"""The services of a run, each listed once.

Invariant: this module imports the standard library only, so that `make compose-demo` reads it with Python alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self


def _one_thread(_settings: Any) -> int:
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTraits:
    """How a service is run."""

    module: str
    """Its module has `main(settings, bootstrap)`, which returns when the service is done or was asked to stop."""
    threads: Callable[[Any], int] = _one_thread
    """Threads of the service's matrix products, from the settings; 0 leaves torch's default."""
    needs_database: bool = False
    reloads: bool = False
    """Whether it loads its scorer again on SIGHUP."""
    rereads_settings: bool = False
    """Whether it reads the settings again for that; `main` then has a third argument."""
    marks_ready: bool = False
    """Whether it loads for long, and says when it has (`infra.readiness`)."""


class Service(StrEnum):
    """The services; each is the argument of `rewardstream serve`, and the name of a container in compose."""

    traits: ServiceTraits

    ROUTER = "router", ServiceTraits(module="streams.apps.router")
    RTV = "rtv", ServiceTraits(module="streams.apps.rtv", reloads=True)
    GENRM = (
        "genrm",
        ServiceTraits(
            module="streams.apps.genrm", threads=attrgetter("genrm.threads"), reloads=True, rereads_settings=True
        ),
    )
    DIFFICULTY = "difficulty", ServiceTraits(module="streams.apps.difficulty", needs_database=True)
    CROSSCHECK = "crosscheck", ServiceTraits(module="streams.apps.crosscheck", needs_database=True)
    SELECTOR = "selector", ServiceTraits(module="trainer.curriculum.selector", needs_database=True)
    """Drives the run: its exit code 0 means that the run is finished."""
    ROLLOUT = (
        "rollout",
        ServiceTraits(module="workers.rollout.worker", threads=attrgetter("rollout.engine.threads"), marks_ready=True),
    )
    LEARNER = "learner", ServiceTraits(module="trainer.main", threads=attrgetter("learner.threads"), marks_ready=True)

    def __new__(cls, name: str, traits: ServiceTraits) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.traits = traits
        return member
