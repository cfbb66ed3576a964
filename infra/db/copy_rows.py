"""New rows by COPY, which takes half of the server's time that the unpacking of a parameter takes (`json_rows`).

COPY knows no ON CONFLICT: a row whose key is there already fails the whole of it. It is for rows that are expected to
be new; the caller writes them another way if they are not.
"""

from collections.abc import Mapping, Sequence

import msgspec
import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from infra.db.models import Base

_NULL = "\\N"
_ENCODE = msgspec.json.Encoder().encode


def copy_rows(
    connection: Connection, table: type[Base], columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> bool:
    """Returns whether the rows were written; False if the key of one is there already, and then none is.

    A text is written as it is, None as NULL, and any other value as JSON. Raises sqlalchemy.exc.OperationalError if the
    database is gone.
    """
    lines = ["\t".join([_field(row[name]) for name in columns]) for row in rows]
    statement = f"COPY {table.__tablename__} ({', '.join(columns)}) FROM STDIN"
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    savepoint = connection.begin_nested()
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write("\n".join([*lines, ""]))
    except psycopg.errors.UniqueViolation:
        savepoint.rollback()
        return False
    except psycopg.OperationalError as error:
        raise OperationalError(statement, None, error) from error
    savepoint.commit()
    return True


def _field(value: object) -> str:
    """The value in COPY's text format. JSON has no raw control characters."""
    if value is None:
        return _NULL
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\")
        return escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return _ENCODE(value).decode().replace("\\", "\\\\")
