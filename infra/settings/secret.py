"""Secrets in the settings: which options hold one, how one is read, and how a tree is written without them.

Invariant: an option with a secret has the type `SecretStr`, which prints as stars. Nothing else in a loaded tree is a
secret: passwords in URLs are refused, or moved to an option of this type.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, SecretStr

MASK = "***"
_SECRET_PARAMETERS = ("password", "passwd", "token", "secret", "key", "signature", "credential")


class SecretFileError(ValueError):
    """A file that should hold a secret does not; the text names the setting and the file."""


def read_secret(value: SecretStr, file: Path | None, setting: str) -> str:
    """The secret: the value, else the content of the file without its line end. Raises SecretFileError."""
    if file is None:
        return value.get_secret_value()
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"{setting} = {str(file)!r} cannot be read: {error}") from error
    if not text:
        raise SecretFileError(f"{setting} = {str(file)!r} is empty: write the secret into it")
    return text


def secrets_in(section: BaseModel) -> dict[str, Any]:
    """The secrets that are not empty, as plain text, nested like the tree."""
    found: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        inner = secrets_in(value) if isinstance(value, BaseModel) else _plain_of(value)
        if inner:
            found[name] = inner
    return found


def without(values: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
    """The dumped values, in which each of the secrets is an empty text."""
    return values | {
        name: without(values[name], inner) if isinstance(inner, dict) else "" for name, inner in secrets.items()
    }


def secret_paths(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of the options that hold a secret, by their type."""
    for name, info in section.model_fields.items():
        annotation = info.annotation
        if annotation is SecretStr:
            yield f"{prefix}{name}"
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from secret_paths(annotation, f"{prefix}{name}.")


def refuse_credentials(url: str, setting: str, instead: str) -> None:
    """Raises ValueError if the URL holds a user's password or a token. `instead` says where they belong."""
    try:
        parts = urlsplit(url)
        held = "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]
    except ValueError:
        raise ValueError(f"{setting} is not a URL") from None
    names = [name for name, _ in parse_qsl(parts.query) if any(part in name.lower() for part in _SECRET_PARAMETERS)]
    if held or names:
        what = f"the parameter {names[0]!r}" if names else "a password"
        raise ValueError(f"{setting} holds {what}, and would be printed and logged with it: {instead}")


def _plain_of(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {
            key: plain for key, entry in value.items() if isinstance(entry, SecretStr) and (plain := _plain_of(entry))
        }
    return ""
