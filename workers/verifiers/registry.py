"""Verifiers by name, from the entry points `rewardstream.verifiers`.

Invariant: a name has one verifier. Two distributions that claim one name are an error, not a race.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from workers.verifiers.base import Verifier

GROUP = "rewardstream.verifiers"


class UnknownVerifierError(LookupError):
    """No verifier of that name is installed; the text lists those that are."""


def verifier_names() -> list[str]:
    return sorted(_points())


@cache
def load_verifier(name: str) -> Verifier:
    """One instance a process. Raises UnknownVerifierError; TypeError where the class has not a verifier's shape."""
    point = _points().get(name)
    if point is None:
        raise UnknownVerifierError(f"unknown verifier {name!r}; installed are: {', '.join(verifier_names())}")
    verifier: Verifier = point.load()()
    missing = [member for member in ("name", "version", "policy", "options", "verify") if not hasattr(verifier, member)]
    if missing:
        raise TypeError(f"verifier {name!r} ({point.value}) lacks {', '.join(missing)}; see workers/verifiers/base.py")
    return verifier


@cache
def _points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise TypeError(f"two verifiers are called {point.name!r}: {other.value} and {point.value}")
    return found
