"""Finds the one read-only query of a response by parsing it; nothing is executed here.

Invariant: what `read_query` returns is one SELECT, set operation or VALUES, with or without WITH. SQLite's authorizer
refuses whatever the parser missed: the parser is there for the message and for ORDER BY, not for safety.
"""

import logging
import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from workers.verifiers.sql.dialects import to_sqlite

MAX_ANSWER = 100_000
"""Most characters after the reasoning; a longer text is not searched."""
MAX_QUERY = 10_000
"""Most characters of a query. The longest gold queries of Spider and BIRD have about 1,500."""

MAX_BLOCKS = 5
"""Most blocks, since each is parsed; a response that shows more queries commits to none."""

_BLOCK = re.compile(
    r"```[ \t]{0,3}(\w{0,20})[^\n`]*\n(.*?)```|<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL | re.IGNORECASE
)
_SQL_TAGS = ("sql", "sqlite", "sqlite3")
_QUERIES = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)
_REFUSED = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Pragma, exp.Attach, exp.Detach, exp.Drop, exp.Lock)
_LITERALS = 50

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about each statement that it does not know


class QueryError(ValueError):
    """The text is not one read-only query; the message says why."""


class DisagreementError(QueryError):
    """The response gives several different queries."""


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    """The query for SQLite."""
    ordered: bool
    """Whether ORDER BY is at the top level."""
    keys_shown: bool
    """Whether the keys of ORDER BY are among the columns."""
    form: str
    """The normalised text; two queries with the same form are the same."""
    literals: tuple[str | int | float, ...]
    """Constants in the query, at most _LITERALS."""


def read_answer(text: str, dialect: str = "sqlite") -> Query:
    """Reads the query of the text after the reasoning. Raises QueryError."""
    if len(text) > MAX_ANSWER:
        raise QueryError(f"{len(text)} characters are more than {MAX_ANSWER}")
    if "```" in _BLOCK.sub("", text):
        raise QueryError("a fenced block does not close")
    found = _BLOCK.findall(text)
    blocks = [block or tag for name, block, tag in found if name.casefold() in _SQL_TAGS or tag]
    blocks = blocks or [block for _, block, _ in found]
    if len(blocks) > MAX_BLOCKS:
        raise QueryError(f"more than {MAX_BLOCKS} blocks")
    queries = [read_query(block, dialect) for block in blocks] or [read_query(text, dialect)]
    if len({query.form for query in queries}) > 1:
        raise DisagreementError(f"{len(queries)} blocks with different queries")
    return queries[-1]


def read_query(text: str, dialect: str = "sqlite") -> Query:
    """Parses a text as one query. Raises QueryError; ValueError for a dialect that sqlglot does not know."""
    if not text.strip():
        raise QueryError("the answer is empty")
    if len(text) > MAX_QUERY:
        raise QueryError(f"{len(text)} characters are more than {MAX_QUERY}")
    if "\0" in text:
        raise QueryError("a NUL character")
    try:
        parsed = sqlglot.parse(text, read=dialect)
        found = [statement for statement in parsed if statement and not isinstance(statement, exp.Semicolon)]
        if len(found) != 1:
            raise QueryError(f"expected one query, got {len(found)} statements")
        (statement,) = found
        if not isinstance(statement, _QUERIES) or statement.find(*_REFUSED):
            raise QueryError(f"expected a SELECT, WITH or VALUES, got {statement.key.upper()}")
        own = text if dialect == "sqlite" else to_sqlite(statement, dialect)
        form = statement.sql("sqlite", comments=False)
    except SqlglotError as error:
        raise QueryError(f"not SQL: {str(error).splitlines()[0][:200]}") from error
    except (RecursionError, AttributeError, TypeError, KeyError, IndexError) as error:  # sqlglot trips on odd text
        raise QueryError(f"not SQL that can be parsed ({type(error).__name__})") from error
    order = _find_order(statement)
    shown = order is not None and _keys_shown(order, statement)
    return Query(own.strip(), order is not None, shown, form, _find_literals(statement))


def check_dialect(name: str) -> None:
    """Raises ValueError if sqlglot does not know the dialect."""
    sqlglot.Dialect.get_or_raise(name)


def _find_order(statement: exp.Expression) -> exp.Expression | None:
    """Returns ORDER BY at the top level, if any."""
    order = statement.args.get("order")
    if order is None and isinstance(statement, exp.Subquery) and not statement.alias:
        return _find_order(statement.this)
    return order if isinstance(order, exp.Expression) else None


def _keys_shown(order: exp.Expression, statement: exp.Expression) -> bool:
    while isinstance(statement, exp.SetOperation | exp.Subquery):
        statement = statement.this
    columns = statement.expressions
    shown = {form for column in columns for form in (column.alias_or_name.casefold(), _unaliased_form(column))} - {""}
    return any(column.is_star for column in columns) or all(
        key.this.is_int or key.this.alias_or_name.casefold() in shown or _unaliased_form(key.this) in shown
        for key in order.expressions
    )


def _unaliased_form(expression: exp.Expression) -> str:
    return expression.unalias().sql("sqlite", comments=False).casefold()


def _find_literals(statement: exp.Expression) -> tuple[str | int | float, ...]:
    found: list[str | int | float] = []
    for literal in statement.find_all(exp.Literal):
        text = str(literal.this)
        if literal.is_string:
            found.append(text)
        elif re.fullmatch(r"\d{1,15}", text):
            found.append(int(text))
        elif re.fullmatch(r"\d{1,15}\.\d{1,15}", text):
            found.append(float(text))
    return tuple(dict.fromkeys(found))[:_LITERALS]
