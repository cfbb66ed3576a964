"""The places where announced weights may lie.

Invariant: what passes `require` is below one of the places after all links are followed and no part of a URL leads
upwards.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from infra.settings.tree import Settings
from workers.models.remote_files import is_url


class ElsewhereError(ValueError):
    """Weights are announced at a place that the settings do not name."""


@dataclass(frozen=True, slots=True)
class WeightPlaces:
    places: tuple[str, ...]
    """Folders and URLs."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        run, published = settings.run, settings.learner.publish_to.rstrip("/")
        own = f"{published}/{run.id}" if published else str(run.folder / run.id / "versions")
        return cls((own, *settings.weights.places))

    def require(self, uri: str) -> None:
        """Raises ElsewhereError."""
        if not any(_is_below(uri, place) for place in self.places):
            raise ElsewhereError(
                f"weights are announced at {uri!r}, which is not below {' or '.join(self.places)}: if they are "
                "yours, name the place in weights.places"
            )


def _is_below(uri: str, place: str) -> bool:
    if is_url(uri) != is_url(place):
        return False
    if not is_url(uri):
        return Path(uri).is_absolute() and Path(uri).resolve().is_relative_to(Path(place).resolve())
    base = place.rstrip("/")
    rest = unquote(uri.removeprefix(f"{base}/"))
    if uri == base:
        return True
    plain = not any(mark in rest for mark in "?#\\:@") and "::" not in uri
    return uri.startswith(f"{base}/") and plain and not {"", ".", ".."} & set(rest.rstrip("/").split("/"))
