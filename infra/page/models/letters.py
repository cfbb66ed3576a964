"""Dead letters as the page shows them: counted by topic and reason, and listed. Pure.

Invariant: a letter is counted once, and a list has at most `MOST_LETTERS` of them, the newest first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.page.models.rows import excerpt
from streams.dead_letters import DeadLetter

MOST_LETTERS = 200
"""Letters of the list: four screens. The counts above it are of all that were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterCount:
    topic: str
    stage: str
    error: str
    reason: str
    """An excerpt of the newest one's reason."""
    letters: int
    first_at: float
    last_at: float
    """Unix seconds of the first failures; 0 if the headers do not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLine:
    id: str
    topic: str
    partition: int
    offset: int
    stage: str
    error: str
    reason: str
    attempts: int
    first_failed_at: float
    """Unix seconds."""
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersView:
    missing: str
    """Why the log cannot be read; empty if it was."""
    read: int
    """Letters that were read."""
    all: bool
    """Whether these are all that the log holds."""
    counts: Sequence[LetterCount]
    letters: Sequence[LetterLine]
    replay: str
    """The command that sends letters again, without their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterView:
    letter: Mapping[str, Any]
    """`infra.advice.letters.letter_fields` and `letter_content`."""
    replay: str
    previous: str | None
    """Id of the next newer letter."""
    next: str | None


def newest_first(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    return sorted(letters, key=lambda one: (one.first_failed_at, one.record.partition, one.record.offset), reverse=True)


def counts_of(letters: Sequence[DeadLetter]) -> list[LetterCount]:
    """One row per topic, stage and error, the most frequent first. `letters`: the newest first."""
    kinds: dict[tuple[str, str, str], list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        kinds[letter.topic, letter.stage, letter.error_class].append(letter)
    rows = [
        LetterCount(
            topic=topic,
            stage=stage,
            error=error,
            reason=excerpt(some[0].reason),
            letters=len(some),
            first_at=some[-1].first_failed_at,
            last_at=some[0].first_failed_at,
        )
        for (topic, stage, error), some in kinds.items()
    ]
    return sorted(rows, key=lambda row: (-row.letters, row.topic, row.stage, row.error))


def line_of(letter: DeadLetter) -> LetterLine:
    return LetterLine(
        id=letter.id,
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        stage=letter.stage,
        error=letter.error_class,
        reason=excerpt(letter.reason),
        attempts=letter.attempts,
        first_failed_at=letter.first_failed_at,
        bytes=len(letter.record.value or b""),
    )


def replay_command(run_id: str, ids: str = "PARTITION:OFFSET") -> str:
    return f"rewardstream dead-letters replay {ids} --run {run_id}"
