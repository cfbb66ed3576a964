"""The saved states of a run: checkpoints, and the newest history apart from the weights, in one folder per learner.

Invariants:
- A learner writes into its own folder only, whose name has its lineage and a part that no other learner has. It removes
  other folders only after its claim counts, and then those of its own and earlier lineages.
- A learner pins what it resumes from, before it claims. So one that was overtaken can neither replace nor remove what
  its successors need.
- `history.json` goes with the checkpoint of its version, or with the initial weights if its version is 0.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.files.folders import atomic_folder
from trainer.curriculum.lineages import NONE, Lineages
from trainer.seqset import SeqSet
from trainer.weights.checkpoint import HISTORY_FILE, complete_checkpoints, folder_name
from trainer.weights.history import HistoryError, LearnerHistory, read_history, write_history

log = logging.getLogger(__name__)

_FOLDER = re.compile(r"lineage(\d+)-[^.]+")


@dataclass(frozen=True, slots=True)
class SavedState:
    checkpoint: Path | None
    """None for the run's initial weights."""
    history: LearnerHistory


def initial_state() -> SavedState:
    return SavedState(None, LearnerHistory(0, 0, 0, {}, SeqSet()))


def choose(weights: Sequence[SavedState], histories: Sequence[LearnerHistory], lineages: Lineages) -> SavedState:
    """The state with the most closings in the surviving history; of two that have as many, the one whose history was
    saved apart from the weights. Pure.

    `weights` are the checkpoints, each with the history of its moment. Two moments of the surviving history with one
    version have no step between them, so the later moment's history may go with the earlier one's weights.
    """
    kept = surviving([initial_state(), *weights], lineages)
    later = [
        SavedState(state.checkpoint, history)
        for history in histories
        if lineages.survives(history.lineage, history.ordinal)
        for state in kept
        if state.history.version == history.version
    ]
    return max(later + kept, key=lambda state: (state.history.ordinal, state.history.lineage))


def surviving(states: Sequence[SavedState], lineages: Lineages) -> list[SavedState]:
    """Those that no lineage has abandoned. Pure."""
    return [state for state in states if lineages.survives(state.history.lineage, state.history.ordinal)]


def pinned(states: Sequence[SavedState], chosen: SavedState, lineages: Lineages) -> list[SavedState]:
    """What a learner pins that resumes from `chosen`: that state and those before it, in their order. Pure."""
    before = [state for state in surviving(states, lineages) if state.history.ordinal <= chosen.history.ordinal]
    return sorted(before, key=lambda state: state.history.ordinal)


def newest_state(states: Path, lineages: Lineages) -> SavedState:
    """The state from which a learner resumes. Raises OSError if its owner removes a file meanwhile, HistoryError."""
    histories = []
    for folder, _ in _folders(states):
        try:
            histories.append(read_history(folder / HISTORY_FILE))
        except FileNotFoundError:
            continue  # its learner has not started
        except HistoryError as error:
            log.warning("%s; the history in the checkpoint is used", error)
    return choose(_checkpoints(states), histories, lineages)


def highest_lineage(states: Path) -> int:
    """The highest lineage that has left anything, or NONE."""
    return max((lineage for _, lineage in _folders(states)), default=NONE)


def own_folder(states: Path, lineage: int, unique: str) -> Path:
    return states / f"lineage{lineage:03d}-{unique}"


def pin(states: Path, chosen: SavedState, lineages: Lineages, own: Path) -> SavedState:
    """Copies what the learner resumes from to its own folder, and what it would fall back on. Returns the copied state.

    The copies keep the lineage of their writer, so a claim that loses leaves nothing wrong behind. They are hard links
    if the disk has them, and then take no room. Raises OSError if their owner removes one meanwhile.
    """
    for state in pinned(_checkpoints(states), chosen, lineages):
        target = own / folder_name(state.history.version)
        if state.checkpoint is not None and not target.exists():
            with atomic_folder(target) as copy:
                shutil.copytree(state.checkpoint, copy, copy_function=_link, dirs_exist_ok=True)
    save_history(own, chosen.history)
    if chosen.checkpoint is None:
        return chosen
    return SavedState(own / folder_name(chosen.history.version), chosen.history)


def save_history(own: Path, history: LearnerHistory) -> None:
    """Raises OSError."""
    write_history(own / HISTORY_FILE, history)


def save_start(states: Path, before: SeqSet) -> None:
    """Saves, before any learner has started, that the groups in `before` count as closed. Raises OSError."""
    save_history(own_folder(states, 0, "start"), LearnerHistory(0, 0, 0, {}, before))


def remove_others(states: Path, own: Path) -> None:
    """Removes what other learners of this lineage and of earlier ones left, or still write: they were overtaken."""
    lineage = next(lineage for folder, lineage in _folders(states) if folder == own)
    for folder, other in _folders(states):
        if other <= lineage and folder != own:
            shutil.rmtree(folder, ignore_errors=True)


def _checkpoints(states: Path) -> list[SavedState]:
    return [
        SavedState(path, read_history(path / HISTORY_FILE))
        for folder, _ in _folders(states)
        for path in complete_checkpoints(folder)
    ]


def _folders(states: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(states.glob("*")):
        if match := _FOLDER.fullmatch(path.name):
            yield path, int(match[1])


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
