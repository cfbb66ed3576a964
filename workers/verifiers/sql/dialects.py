"""Translates queries of other dialects to SQLite with the functions of `inside_dialect`.

Invariant: a translation keeps the meaning; what has no translation is left as it is, and SQLite then reports an unknown
function. Dates are texts, as SQLite stores them.
"""

from collections.abc import Mapping

import sqlglot
from sqlglot import exp

PREFIX = "rewardstream_"
"""Prefix of the names of `inside_dialect`'s functions, so that none replaces a function of SQLite."""
CASE_SENSITIVE = frozenset(
    ["postgres", "redshift", "duckdb", "snowflake", "bigquery", "oracle", "presto", "trino", "athena", "materialize"]
)
"""Dialects in which LIKE is case-sensitive; in SQLite it is not."""
_SUNDAY_IS_1 = frozenset(["mysql", "tsql", "bigquery", "spark", "databricks", "hive"])
_PARTS: Mapping[type[exp.Expression], str] = {
    exp.Year: "year",
    exp.Quarter: "quarter",
    exp.Month: "month",
    exp.Day: "day",
    exp.DayOfMonth: "day",
    exp.DayOfYear: "doy",
    exp.WeekOfYear: "week",
    exp.Hour: "hour",
    exp.Minute: "minute",
    exp.Second: "second",
}
_TEXT_FUNCTIONS: Mapping[type[exp.Expression], tuple[str, tuple[str, ...]]] = {
    exp.Left: ("left", ("this", "expression")),
    exp.Right: ("right", ("this", "expression")),
    exp.SplitPart: ("split_part", ("this", "delimiter", "part_index")),
    exp.Initcap: ("initcap", ("this",)),
    exp.Repeat: ("repeat", ("this", "times")),
    exp.Reverse: ("reverse", ("this",)),
    exp.LastDay: ("last_day", ("this",)),
    exp.Dayname: ("day_name", ("this",)),
    exp.Monthname: ("month_name", ("this",)),
    exp.RegexpLike: ("regexp", ("this", "expression")),
}
_TRUNCATIONS = (exp.TimestampTrunc, exp.DateTrunc, exp.DatetimeTrunc)
_ADDITIONS: Mapping[type[exp.Expression], int] = {
    exp.DateAdd: 1,
    exp.TimestampAdd: 1,
    exp.DatetimeAdd: 1,
    exp.TsOrDsAdd: 1,
    exp.DateSub: -1,
    exp.TimestampSub: -1,
    exp.DatetimeSub: -1,
}
_DATES = (exp.Date, exp.TsOrDsToDate, exp.CurrentDate)


def to_sqlite(statement: exp.Expression, dialect: str) -> str:
    """Translates a statement. Raises sqlglot.errors.SqlglotError."""
    translated = statement.copy().transform(lambda node: _translate_node(node, dialect))
    return translated.sql("sqlite", unsupported_level=sqlglot.ErrorLevel.RAISE)


def _translate_node(node: exp.Expression, dialect: str) -> exp.Expression:
    for find in (_translate_date_part, _translate_date_change, _translate_text_function):
        found = find(node, dialect)
        if found is not None:
            return found
    return node


def _translate_date_part(node: exp.Expression, dialect: str) -> exp.Expression | None:  # noqa: PLR0911  one for each form
    kind = type(node)
    if kind in _PARTS:
        return _call("part", exp.Literal.string(_PARTS[kind]), _strip_conversion(node.this))
    if isinstance(node, exp.Extract):
        return _call("part", exp.Literal.string(node.name.lower()), node.expression)
    if (
        isinstance(node, exp.Anonymous)
        and node.name.lower() in ("date_part", "datepart")
        and len(node.expressions) == 2
    ):
        return _call("part", *node.expressions)
    if isinstance(node, exp.DayOfWeek) and dialect in _SUNDAY_IS_1:
        return exp.paren(
            exp.Add(this=_call("part", exp.Literal.string("dow"), _strip_conversion(node.this)), expression=_one())
        )
    if isinstance(node, _TRUNCATIONS):
        return _call("trunc", exp.Literal.string(node.text("unit").lower()), node.this)
    if isinstance(node, exp.TimeToStr):
        return _call("format", _strip_conversion(node.this), node.args["format"])
    if isinstance(node, exp.StrToDate | exp.StrToTime) and str(node.args["format"].name).startswith("%Y-%m-%d"):
        name = "DATE" if isinstance(node, exp.StrToDate) else "DATETIME"
        return exp.Anonymous(this=name, expressions=[node.this])
    if isinstance(node, exp.Anonymous) and node.name.lower() in ("now", "getdate", "sysdate"):
        return exp.CurrentTimestamp()
    return None


def _translate_date_change(node: exp.Expression, _: str) -> exp.Expression | None:
    sign = _ADDITIONS.get(type(node))
    if sign:
        return _add_interval(_strip_conversion(node.this), node.expression, node.args.get("unit"), sign)
    if isinstance(node, exp.Add | exp.Sub):
        sign = 1 if isinstance(node, exp.Add) else -1
        if isinstance(node.expression, exp.Interval):
            return _add_interval(node.this, node.expression, None, sign)
        if isinstance(node.this, exp.Interval) and sign == 1:
            return _add_interval(node.expression, node.this, None, sign)
        if sign == -1 and _is_date(node.this) and _is_date(node.expression):
            return _call("difference", exp.Literal.string("day"), node.this, node.expression)
    if isinstance(node, exp.DateDiff):
        unit = node.text("unit").lower() or "day"
        return _call(
            "difference", exp.Literal.string(unit), _strip_conversion(node.this), _strip_conversion(node.expression)
        )
    return None


def _translate_text_function(node: exp.Expression, _: str) -> exp.Expression | None:
    if isinstance(node, exp.ConcatWs):
        return _call("concat_ws", *node.expressions)
    if isinstance(node, exp.Concat) and node.args.get("coalesce"):
        return _call("concat", *node.expressions)
    if isinstance(node, exp.Pad):
        fill = node.args.get("fill_pattern") or exp.Literal.string(" ")
        return _call("lpad" if node.args.get("is_left") else "rpad", node.this, node.expression, fill)
    known = _TEXT_FUNCTIONS.get(type(node))
    if known is None:
        return None
    name, fields = known
    arguments = [node.args.get(field) for field in fields]
    return None if None in arguments else _call(name, *(one for one in arguments if one is not None))


def _add_interval(
    date: exp.Expression, amount: exp.Expression, unit: exp.Expression | None, sign: int
) -> exp.Expression | None:
    """Adds an interval to `date`, or subtracts it if `sign` is -1. None for an interval of several units."""
    if isinstance(amount, exp.Interval):
        amount, unit = amount.this, amount.args.get("unit")
    if not isinstance(unit, exp.Var) or amount is None:
        return None
    number = exp.cast(amount, "int") if isinstance(amount, exp.Literal) and amount.is_string else amount
    return _call("add", date, exp.Mul(this=exp.paren(number), expression=exp.Literal.number(sign)), _unit_name(unit))


def _is_date(node: exp.Expression) -> bool:
    return isinstance(node, _DATES) or (isinstance(node, exp.Cast) and node.is_type("date"))


def _strip_conversion(node: exp.Expression) -> exp.Expression:
    """Removes the conversion that sqlglot puts around the argument of a date function."""
    return node.this if isinstance(node, exp.TsOrDsToDate | exp.TsOrDsToTimestamp) else node


def _unit_name(unit: exp.Expression) -> exp.Expression:
    return exp.Literal.string(unit.name.lower())


def _one() -> exp.Expression:
    return exp.Literal.number(1)


def _call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=PREFIX + name, expressions=list(arguments))
