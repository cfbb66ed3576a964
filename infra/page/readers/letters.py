"""Reads the dead letters of a run from its log.

Invariant: one read runs at a time, of at most `NEWEST` letters of each partition, and not more often than every
`FRESH_SECONDS`, however many look.
"""

import threading
import time
from collections.abc import Sequence

from infra.advice.letters import letter_content, letter_fields
from infra.advice.story import UnknownNameError
from infra.page.models.letters import (
    MOST_LETTERS,
    LettersView,
    LetterView,
    counts_of,
    line_of,
    newest_first,
    replay_command,
)
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, LogReader
from streams.dead_letters import DeadLetter, parse
from streams.topics import Topic, topic_name

NEWEST = 2000
"""A letter is at most a record's size; this many of a usual size are read in a second."""
FRESH_SECONDS = 5.0
"""A letter is looked at by a person, who comes after it; a tab asks every 3 to 30 seconds."""
_CONNECT_SECONDS = 2.0
"""A page should not wait for a broker that is away as long as a worker does."""


class LettersLog:
    """`bootstrap`: a broker that has the run's topics; empty if none has. Safe to use from several threads."""

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._run_id, self._bootstrap = settings.run.id, bootstrap
        self._broker = settings.broker.model_copy(update={"connect_timeout_seconds": _CONNECT_SECONDS})
        self._topic = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._letters: Sequence[DeadLetter] = ()
        self._all, self._missing = True, ""

    def view(self) -> LettersView:
        letters = self._newest()
        return LettersView(
            missing=self._missing,
            read=len(letters),
            all=self._all,
            counts=counts_of(letters),
            letters=[line_of(letter) for letter in letters[:MOST_LETTERS]],
            replay=replay_command(self._run_id),
        )

    def one(self, partition: int, offset: int) -> LetterView:
        """Raises UnknownNameError if no letter that was read has this place."""
        letters = self._newest()
        ids = [letter.id for letter in letters]
        wanted = f"{partition}:{offset}"
        if wanted not in ids:
            raise UnknownNameError(self._missing or f"the log has no dead letter {wanted}, or not among the newest")
        at = ids.index(wanted)
        return LetterView(
            letter=letter_fields(letters[at]) | letter_content(letters[at]),
            replay=replay_command(self._run_id, wanted),
            previous=ids[at - 1] if at else None,
            next=ids[at + 1] if at + 1 < len(ids) else None,
        )

    def _newest(self) -> Sequence[DeadLetter]:
        """The newest first; none if the log cannot be read, and `_missing` then says why."""
        if not self._bootstrap:
            self._missing = "the run's log is not available"
            return ()
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                try:
                    self._letters, self._missing = self._read(), ""
                except (BrokerUnavailableError, LookupError) as error:
                    self._letters, self._missing = (), f"the log does not answer: {error}"
                self._read_at = time.monotonic()
            return self._letters

    def _read(self) -> Sequence[DeadLetter]:
        with LogReader(self._broker, self._bootstrap, [self._topic], newest=NEWEST) as reader:
            first, start = reader.first_offsets(), reader.positions()
            self._all = all(start[partition] <= offset for partition, offset in first.items() if partition in start)
            return newest_first(parse(record) for record in reader.read_to_end())
