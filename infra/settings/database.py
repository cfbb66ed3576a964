"""How the Postgres server is reached.

Invariant: the URL holds no password. One that is given in it is moved to `password`, which prints as stars.
"""

from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

from pydantic import SecretStr, model_validator

from infra.settings.secret import read_secret
from infra.settings.section import Seconds, SettingsSection

_SECRET_PARAMETERS = ("password=", "sslpassword=")


class DatabaseSettings(SettingsSection):
    """The Postgres server."""

    url: str = ""
    """URL of the server, postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE; empty starts the embedded one. libpq's
    parameters follow a question mark: ?sslmode=verify-full&sslrootcert=/etc/ca.pem has the server prove who it is. A
    password in it is moved to `password`."""
    password: SecretStr = SecretStr("")
    """The user's password, in place of one in the URL; better from password_file, which a run's files then do not
    hold."""
    password_file: Path | None = None
    """File with the user's password. It is read again for each new connection pool."""
    connect_timeout_seconds: Seconds = 10.0
    """A client that finds no database for this long gives up with an error."""
    outage_seconds: Seconds = 1800.0
    """Longest absence of the database that the difficulty stage waits out with the rows that it holds."""

    def full_url(self) -> str:
        """The URL with the password, for a client; empty for the embedded server. Raises SecretFileError."""
        password = read_secret(self.password, self.password_file, "database.password_file")
        scheme, separator, rest = self.url.partition("://")
        user, at, host = rest.partition("@")
        if not (password and separator and at):
            return self.url
        return f"{scheme}://{user}:{quote(password, safe='')}@{host}"

    @model_validator(mode="before")
    @classmethod
    def _without_password(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("url"), str):
            return values
        url, password = _split_password(values["url"])
        if not password:
            return values
        given = values.get("password", "")
        given = given.get_secret_value() if isinstance(given, SecretStr) else given
        if given not in ("", password):
            raise ValueError("database.url holds a password, and database.password is another one: keep one of them")
        return values | {"url": url, "password": password}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.password.get_secret_value() and self.password_file is not None:
            raise ValueError("database.password_file is given, and a password besides: keep one of them")
        query = self.url.partition("?")[2].lower()
        if any(f"&{query}".find(f"&{name}") >= 0 for name in _SECRET_PARAMETERS):
            raise ValueError("database.url holds a password in its parameters: give database.password instead")
        if self.password_file is not None and self.url and "@" not in self.url:
            raise ValueError("database.password_file needs a user in database.url: postgresql+psycopg://USER@HOST/...")
        return self


def _split_password(url: str) -> tuple[str, str]:
    """The URL without its password, and the password. What follows the last @ before the parameters is the host."""
    scheme, separator, rest = url.partition("://")
    place, question, parameters = rest.partition("?")
    credentials, at, host = place.rpartition("@")
    user, colon, password = credentials.partition(":")
    if not (separator and at and colon):
        return url, ""
    return f"{scheme}://{user}@{host}{question}{parameters}", unquote(password)
