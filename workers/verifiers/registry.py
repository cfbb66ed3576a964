"""Verifiers by name, from the entry points `rewardstream.verifiers`.

Invariant: a name has one verifier. Two distributions that claim one name are an error, not a race.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from workers.verifiers.base import Verifier

GROUP = "rewardstream.verifiers"


class UnknownVerifierError(LookupError):
    """No verifier of that name is installed; the text lists the installed ones and says what to do."""


def verifier_names() -> list[str]:
    return sorted(_points())


@cache
def load_verifier(name: str) -> Verifier:
    """Returns the process's one instance. Raises UnknownVerifierError, and TypeError if the class lacks a member."""
    point = _points().get(name)
    if point is None:
        raise UnknownVerifierError(
            f"unknown verifier {name!r}; installed are: {', '.join(verifier_names())}. "
            "If it is new in a pyproject.toml, install that project again (this one: make)"
        )
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
