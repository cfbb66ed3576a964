"""The sources of settings: recipe, environment and command line, each as a layer of values with the place of every
value.

Invariant: a layer holds exactly what its source says, including unknown names, so that the check of the merged tree can
refuse them with their place.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from infra.settings.secret import MASK, secret_paths
from infra.settings.tree import Settings

ENV_PREFIX = "REWARDSTREAM_"
ENV_DELIMITER = "__"

T = TypeVar("T")

_SECRET_PATHS = (*secret_paths(Settings), "database.url", "genrm.endpoint", "learner.publish_to", "crosscheck.judge")
"""Options that hold a secret, and those in which one may be given by mistake."""
_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE_LINE = re.compile(rf"^\s*\[+\s*({_DOTTED})\s*\]+")
_KEY_LINE = re.compile(rf"^\s*({_DOTTED})\s*=")


class InvalidSettingsError(ValueError):
    """Settings do not load. The text has a line per problem: path, place, what is wrong, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Layer:
    values: dict[str, Any]
    """The values, nested like the tree."""
    places: dict[str, str]
    """Dotted path -> place where its value was given: `FILE:LINE`, an environment variable, or an option."""


@dataclass(frozen=True, slots=True)
class Option:
    """One value from the command line; `name` is what the user typed, for error messages."""

    path: str
    value: Any
    name: str


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf as (dotted path, value); an empty table is a leaf."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{path}.")
        else:
            yield path, value


def nearest(path: str, entries: Mapping[str, T]) -> T | None:
    """The entry of the path itself, else that of the closest section above it; None if there is none."""
    while path not in entries and "." in path:
        path = path.rpartition(".")[0]
    return entries.get(path)


def nest(values: dict[str, Any], path: str, value: Any) -> None:
    """Puts `value` at the dotted path. Raises InvalidSettingsError if a part of the path holds a plain value."""
    *sections, last = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InvalidSettingsError(f"{path}: {section} is a value, not a section")
    values[last] = value


def recipe_names() -> list[str]:
    return sorted(item.name.removesuffix(".toml") for item in _recipe_folder().iterdir() if item.name.endswith(".toml"))


def find_recipe(name_or_path: str) -> Path:
    """The path of a recipe: a file, or the name of a packaged recipe. Raises InvalidSettingsError."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    packaged = Path(str(_recipe_folder())) / f"{name_or_path}.toml"
    if packaged.is_file():
        return packaged
    raise InvalidSettingsError(
        f"{name_or_path}: no such file, and no packaged recipe has that name ({', '.join(recipe_names())})"
    )


def find_recipes(names: str) -> list[Path]:
    """The paths of one recipe, or of several separated by commas, in their order. Raises InvalidSettingsError."""
    if Path(names).is_file():
        return [Path(names)]
    return [find_recipe(name.strip()) for name in names.split(",")]


def file_layer(path: Path) -> Layer:
    """The layer of a TOML recipe or a run's settings.json. Raises InvalidSettingsError if it cannot be read or
    parsed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"{path}: cannot be read: {error}") from error
    try:
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise InvalidSettingsError(f"{path}: does not parse: {error}") from error
    if not isinstance(values, dict):
        raise InvalidSettingsError(f"{path}: holds a {type(values).__name__}, expected the tree of settings")
    lines = {} if path.suffix == ".json" else toml_lines(text)
    places = {name: str(path) for name, _ in flatten(values) if nearest(name, lines) is None}
    return Layer(values, places | {name: f"{path}:{line}" for name, line in lines.items()})


def toml_lines(text: str) -> dict[str, int]:
    """Dotted path of each table and key -> its first line. Keys of inline tables have the line of their table."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE_LINE.match(line):
            table = _unquote(header[1])
            lines.setdefault(table, number)
        elif key := _KEY_LINE.match(line):
            lines.setdefault(f"{table}.{_unquote(key[1])}" if table else _unquote(key[1]), number)
    return lines


def environment_layer() -> Layer:
    """The layer of variables such as `REWARDSTREAM_LEARNER__LEARNING_RATE`; a section or table may be JSON. Raises
    InvalidSettingsError.
    """
    names = sorted(name for name in os.environ if name.startswith(ENV_PREFIX))
    try:
        values = EnvSettingsSource(_Environment)()
    except SettingsError as error:
        raise InvalidSettingsError(f"environment: {error}; sections and tables are JSON") from error
    places: dict[str, str] = {}
    for name in names:
        section, *rest = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        if section not in Settings.model_fields:
            nest(values, ".".join((section, *rest)), os.environ[name])
        places[".".join((section, *rest))] = f"environment {name}"
    return Layer(values, places)


def kafka_home_layer() -> Layer:
    """The layer of the variable KAFKA_HOME, which `broker.kind = "auto"` looks at; recipe and options win over it."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        return Layer({}, {})
    return Layer({"broker": {"kafka_home": home}}, {"broker.kafka_home": "environment KAFKA_HOME"})


def option_layer(options: Iterable[Option]) -> Layer:
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for option in options:
        nest(values, option.path, option.value)
        places[option.path] = f"option {option.name}"
    return Layer(values, places)


def parse_assignment(text: str) -> Option:
    """Parses `learner.learning_rate=1e-5`; a value that begins with { or [ is JSON. Raises InvalidSettingsError."""
    path, equals, value = text.partition("=")
    told = f"--set {path}={MASK}" if may_hold_secret(path.strip()) else f"--set {text}"
    if not equals or not path.strip():
        raise InvalidSettingsError(f"--set {text}: expected PATH=VALUE, as in --set learner.learning_rate=1e-5")
    parsed: Any = value.strip()
    if parsed.startswith(("{", "[")):
        try:
            parsed = json.loads(parsed)
        except ValueError as error:
            raise InvalidSettingsError(f"{told}: not JSON: {error}") from error
    return Option(path.strip(), parsed, told)


def may_hold_secret(path: str) -> bool:
    """Whether an option, a section with it, or an entry of it may hold a secret, so that its value is not repeated."""
    return any(f"{secret}.".startswith(f"{path}.") or path.startswith(f"{secret}.") for secret in _SECRET_PATHS)


class _Environment(Settings, BaseSettings):
    """The tree as pydantic-settings reads it from the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER)


def _recipe_folder() -> Any:
    return resources.files("infra") / "recipes"


def _unquote(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in re.findall(_KEY, dotted))
