"""The page's JSON: each view is one path, the same in the live page and in an export.

Invariant: a path only reads. An unknown name is `UnknownNameError` and a wrong parameter `ValueError`; whoever serves
it turns them into an answer.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from infra.advice.story import UnknownNameError
from infra.page.models.tokens import Decode
from infra.page.readers.comparison import ComparisonReader
from infra.page.readers.groups import read_group_view, read_open, read_step
from infra.page.readers.kept_rollouts import KeptRollouts
from infra.page.readers.letters import LettersLog
from infra.page.readers.live import LiveProcesses
from infra.page.readers.monitors import MonitorsReader
from infra.page.readers.overview import OverviewReader
from infra.page.readers.prompts import read_prompt
from infra.page.readers.rollout_log import RolloutLog
from infra.page.readers.rollouts import read_rollout
from infra.page.readers.selection import read_selection
from infra.page.readers.shown_run import ShownRun
from infra.page.readers.steps_file import StepsFile
from infra.page.readers.table import TableQuery, read_table
from infra.page.readers.token_texts import find_token_texts

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRoute:
    pattern: re.Pattern[str]
    """Matches the path below `api/`, without `.json`; its groups are the arguments of `read`."""
    read: Callable[..., Any]
    """Called with the query and the pattern's groups; returns what msgspec encodes."""


class PageData:
    """Everything that the page shows of one run. Safe to use from several threads. Close it at the end."""

    def __init__(self, run: ShownRun, bootstrap: str) -> None:
        self.run = run
        self._steps = StepsFile(run.folder)
        self._processes = LiveProcesses(run.folder.parent, run.run_id)
        self._overview = OverviewReader(run, self._steps, self._processes)
        self._log = RolloutLog(run.settings, bootstrap, KeptRollouts(run.folder))
        self._monitors = MonitorsReader(run, self._steps)
        self._comparison = ComparisonReader(run)
        self._letters = LettersLog(run.settings, bootstrap)
        self._decode: Decode | None = find_token_texts(run.settings, run.folder)
        self._routes = [
            JsonRoute(pattern=re.compile(pattern), read=read)
            for pattern, read in (
                ("overview", lambda _: self._overview.overview()),
                ("loop", lambda _: self._overview.loop()),
                ("trend", lambda _: self._overview.trend()),
                ("open", lambda _: read_open(run)),
                ("rollouts", self._table),
                (r"steps/(\d{1,9})", lambda _, version: read_step(run, self._steps, int(version))),
                (r"groups/(\d{1,18})", lambda _, seq: read_group_view(run, int(seq))),
                (r"rollouts/(\d{1,18})/(\d{1,6})", self._rollout),
                ("selection", lambda _: read_selection(run)),
                ("monitors", lambda _: self._monitors.view()),
                ("compare", lambda _: self._comparison.runs()),
                (r"compare/([A-Za-z0-9_.:-]{1,64})", lambda _, other: self._comparison.comparison(other)),
                ("dead-letters", lambda _: self._letters.view()),
                (r"dead-letters/(\d{1,9})-(\d{1,18})", lambda _, part, at: self._letters.one(int(part), int(at))),
                (r"prompts/([A-Za-z0-9_.:-]{1,64})", lambda _, prompt: read_prompt(run, prompt)),
            )
        ]

    def read(self, path: str, query: Query) -> Any:
        """`path`: below `api/`, without `.json`. Raises UnknownNameError, ValueError, SQLAlchemyError."""
        for route in self._routes:
            if (found := route.pattern.fullmatch(path)) is not None:
                return route.read(query, *found.groups())
        raise UnknownNameError(f"there is no view {path!r}")

    def _table(self, query: Query) -> Any:
        return read_table(self.run, table_query(query), self._overview.trend().domains)

    def _rollout(self, _: Query, seq: str, index: str) -> Any:
        return read_rollout(self.run, self._log, self._decode, int(seq), int(index))

    def close(self) -> None:
        self._processes.close()
        self.run.engine.dispose()


def table_query(query: Query) -> TableQuery:
    """Raises ValueError if a parameter is unknown, or is not a number where it should be."""
    names = {field.name for field in fields(TableQuery)}
    if unknown := sorted(query.keys() - names):
        raise ValueError(f"there is no filter {', '.join(unknown)}: filters are {', '.join(sorted(names))}")
    values: dict[str, Any] = dict(query)
    for name in {"page", "version"} & values.keys():
        if not re.fullmatch(r"\d{1,9}", values[name]):
            raise ValueError(f"{name}={values[name]!r} is not a number")
        values[name] = int(values[name])
    return TableQuery(**values)
