"""Engines whose errors say what is wrong with the connection: the URL, without its password, and what to do."""

import math

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, OperationalError

_DRIVER = "postgresql+psycopg"
_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "certificate",
    "does not support SSL",
    "SSL error",
)
"""What libpq says of a refusal, in English; it gives no code before a session exists. Any other text, also a refusal in
the language of a server, counts as an absence."""


class DatabaseUnavailableError(RuntimeError):
    """Postgres cannot be reached; the text names the URL without its password."""


class DatabaseRefusalError(RuntimeError):
    """Postgres refuses the login, or its certificate is refused; the text names the URL without its password."""


class DatabaseUrlError(ValueError):
    """The URL is not a Postgres URL."""


def parse_url(url: str) -> URL:
    """Parses the URL; `postgresql://` and `postgres://` also mean the psycopg 3 driver. Raises DatabaseUrlError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None  # the text may hold a password, so the message below does not repeat it
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise DatabaseUrlError(
            "database.url is not a Postgres URL: write postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE "
            "(special characters in the password are percent-encoded), or leave it empty for the embedded server"
        )
    return parsed.set(drivername=_DRIVER)


def shown(url: str) -> str:
    """The URL without its password. Raises DatabaseUrlError."""
    return parse_url(url).render_as_string(hide_password=True)


def make_engine(url: str, connect_timeout_seconds: float = 10.0) -> Engine:
    """An engine that connects on first use. Pre-ping replaces connections that were lost when the server restarted.

    Raises DatabaseUrlError.
    """
    return create_engine(
        parse_url(url),
        connect_args={"connect_timeout": max(2, math.ceil(connect_timeout_seconds))},  # libpq rounds 1 up to 2
        pool_pre_ping=True,
    )


def check(engine: Engine) -> None:
    """Raises DatabaseUnavailableError if the server does not answer, DatabaseRefusalError if it refuses the login."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        reason = "; ".join(line.strip(" \t?.") for line in str(error.orig).splitlines() if line.strip())
        if any(each in reason for each in _REFUSALS):
            raise DatabaseRefusalError(
                f"the database at {where} and this client refuse each other: {reason}. Correct user and "
                "sslmode in database.url, database.password_file, or the certificates"
            ) from error
        raise DatabaseUnavailableError(
            f"no database at {where}: {reason}. Start Postgres there, correct database.url "
            "(--database-url), or leave it empty for the embedded server"
        ) from error


def connect(url: str, connect_timeout_seconds: float = 10.0) -> Engine:
    """An engine that has answered once. Raises DatabaseUrlError, DatabaseUnavailableError,
    DatabaseRefusalError.
    """
    engine = make_engine(url, connect_timeout_seconds)
    try:
        check(engine)
    except (DatabaseUnavailableError, DatabaseRefusalError):
        engine.dispose()
        raise
    return engine
