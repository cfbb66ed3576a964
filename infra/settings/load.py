"""Makes one tree from all layers: defaults < KAFKA_HOME < recipe < environment < command line.

Invariant: every value of a loaded tree has a source. If a tree does not load, the error names each wrong key and value
with its path, the place where it was given, and what would be right.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from infra.settings.secret import MASK, secrets_in, without
from infra.settings.sources import (
    InvalidSettingsError,
    Layer,
    Option,
    environment_layer,
    file_layer,
    find_recipes,
    flatten,
    kafka_home_layer,
    may_hold_secret,
    nearest,
    option_layer,
)
from infra.settings.spellings import canonical_layer
from infra.settings.tree import Settings

DEFAULT = "default"
SETTINGS_FILE, SECRETS_FILE = "settings.json", "secrets.json"
"""The files of a run: what it runs with, and apart from that the secrets, if any were given as values."""

_MOST_SUGGESTIONS = 6


@dataclass(frozen=True, slots=True)
class Resolved:
    settings: Settings
    sources: dict[str, str]
    """Dotted path of every leaf -> source of its value."""


def load(recipe: str | None = None, options: Sequence[Option] = ()) -> Resolved:
    """Loads, merges and checks every layer. `recipe` is a TOML file, the name of a packaged one, or several separated
    by commas, of which later ones win. A run's settings.json is already resolved, so the environment does not change
    it. Raises InvalidSettingsError.
    """
    files = find_recipes(recipe) if recipe else []
    layers = [layer for file in files for layer in (file_layer(file), *_secrets_of(file))]
    if not any(file.suffix == ".json" for file in files):
        named = [Layer({"run": {"recipe": recipe}}, {"run.recipe": "the recipe's name"})] if recipe else []
        layers = [kafka_home_layer(), *layers, *named, environment_layer()]
    return resolve([*layers, option_layer(options)])


def resolve(layers: Iterable[Layer]) -> Resolved:
    """Merges layers; later ones win, value by value. Raises InvalidSettingsError."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for layer in map(canonical_layer, layers):
        values = _merge_values(values, layer.values)
        places |= layer.places
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettingsError(_explain(error, places)) from error
    given = {path for path, _ in flatten(values)}
    return Resolved(settings, {path: _source_of(path, places, given) for path, _ in leaves(settings)})


def leaves(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as (dotted path, value). The entries of a table are leaves; an empty table is one itself."""
    for name in type(section).model_fields:
        value, path = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{path}.")
        elif isinstance(value, dict) and value:
            yield from ((f"{path}.{key}", entry) for key, entry in value.items())
        else:
            yield path, value


def described(resolved: Resolved) -> list[tuple[str, Any, str]]:
    """The rows of `--dry-run`: (path, JSON value, source) of every leaf; secrets are masked."""
    dumped = resolved.settings.model_dump(mode="json")
    return [
        (path, _shown(value, _value_at(dumped, path)), resolved.sources[path])
        for path, value in leaves(resolved.settings)
    ]


def described_text(resolved: Resolved) -> str:
    rows = [(f"{path} = {json.dumps(value)}", source) for path, value, source in described(resolved)]
    width = max(len(assignment) for assignment, _ in rows)
    return "\n".join(f"{assignment:<{width}}  # {source}" for assignment, source in rows)


def with_changes(settings: Settings, **sections: dict[str, Any]) -> Settings:
    """The tree with changed options, by section: `with_changes(settings, run={"id": "r1"})`; checked again."""
    values = settings.model_dump()
    for name, changes in sections.items():
        values[name] |= changes
    return Settings.model_validate(values)


def without_secrets(settings: Settings) -> dict[str, Any]:
    """The settings as JSON values, in which each secret is an empty text."""
    return without(settings.model_dump(mode="json"), secrets_in(settings))


def settings_json(settings: Settings) -> bytes:
    """The content of a file that `load` reads back to the same tree, but for its secrets."""
    return json.dumps(without_secrets(settings), indent=2).encode() + b"\n"


def secrets_json(settings: Settings) -> bytes | None:
    """The content of the file SECRETS_FILE that belongs next to the settings; None if there are no secrets."""
    secrets = secrets_in(settings)
    return json.dumps(secrets, indent=2).encode() + b"\n" if secrets else None


def _secrets_of(file: Path) -> list[Layer]:
    """The layer of the secrets that belong to a run's settings.json; none if the run has no secrets."""
    secrets = file.with_name(SECRETS_FILE)
    return [file_layer(secrets)] if file.name == SETTINGS_FILE and secrets.is_file() else []


def _merge_values(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merge_values(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _source_of(path: str, places: dict[str, str], given: set[str]) -> str:
    """Place where a leaf was given. A leaf that no layer holds is a default; one inside an inline or JSON table has the
    place of its table.
    """
    if path not in given and not any(path.startswith(f"{leaf}.") for leaf in given):
        return DEFAULT
    return nearest(path, places) or DEFAULT


def _explain(error: ValidationError, places: dict[str, str]) -> str:
    return "\n".join(dict.fromkeys(_explain_one(details, places) for details in error.errors(include_url=False)))


def _explain_one(details: ErrorDetails, places: dict[str, str]) -> str:
    path = ".".join(str(part) for part in details["loc"])
    if not path:
        return details["msg"].removeprefix("Value error, ")
    place = nearest(path, places) or next(
        (where for name, where in places.items() if name.startswith(f"{path}.")), None
    )
    head = f"{path} ({place})" if place else path
    if details["type"] == "extra_forbidden":
        return f"{head}: no such setting; {suggest(path)}"
    if details["type"] == "value_error":  # from a section whose values do not go together; the text names them
        return f"{head}: {details['msg'].removeprefix('Value error, ')}"
    message = details["msg"][:1].lower() + details["msg"][1:]
    if may_hold_secret(path):
        return f"{head}: {message}"
    return f"{head}: {message}; got {details['input']!r}"


def suggest(path: str) -> str:
    """Close matches over the whole tree, else the names that are allowed in the same section."""
    tree = Settings()
    known = [name for name, _ in leaves(tree)]
    known += [name for name, _ in _walk_sections(tree)]
    last_parts = {name: name.rpartition(".")[2] for name in known}
    last = path.rpartition(".")[2]
    same_name = [name for name in known if last_parts[name] == last]
    close = difflib.get_close_matches(path, known, 3, 0.75)
    if not same_name and not close:
        alike = difflib.get_close_matches(last, set(last_parts.values()), 3, 0.8)
        close = [name for name in known if last_parts[name] in alike]
    close = [name for name in close if not path.startswith(f"{name}.")]
    close = [name for name in close if not any(name.startswith(f"{other}.") for other in close)]
    if matches := list(dict.fromkeys(same_name[:3] + close))[:_MOST_SUGGESTIONS]:
        return f"did you mean {' or '.join(matches)}?"
    parent = path.rpartition(".")[0]
    section = dict(_walk_sections(tree)).get(parent, tree)
    return f"allowed {'in ' + parent if parent else 'at the top'}: {', '.join(type(section).model_fields)}"


def _walk_sections(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, BaseModel]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield f"{prefix}{name}", value
            yield from _walk_sections(value, f"{prefix}{name}.")


def _value_at(values: Any, path: str) -> Any:
    """The value at a dotted path. Keys of tables may hold dots themselves, so the longest matching key is taken."""
    if not path:
        return values
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if isinstance(values, dict) and key in values:
            return _value_at(values[key], ".".join(parts[length:]))
    raise KeyError(path)


def _shown(value: Any, dumped: Any) -> Any:
    return (MASK if value.get_secret_value() else "") if isinstance(value, SecretStr) else dumped
