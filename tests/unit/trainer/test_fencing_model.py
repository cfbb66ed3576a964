"""The protocol of one learner, model-checked: every reachable state of a few learners, one log and one disk.

A learner is its next operation and what it remembers. Any learner may take its next step in any state, so a learner
that is killed, stopped, partitioned or woken up hours later is one that is not chosen for a while, or ever. What a
learner decides, and what readers make of the log, is decided by the project's own functions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest
from support.messages import RUN, closed

from streams.messages import LineageStarted, Outcome
from trainer.curriculum.lineages import NONE, Lineages
from trainer.fencing import claim, saved_states
from trainer.fencing.saved_states import SavedState
from trainer.seqset import SeqSet
from trainer.weights.history import LearnerHistory

Past = tuple[tuple[int, bool], ...]
"""The closings behind a state: of each ordinal, the lineage that closed it and whether it was trained on."""
START = ["choose", "pin", "claim", "check", "own", "remove others"]
TRAIN = ["update", "check", "announce", "close trained"]
SAVE = ["check", "save", "prune"]
KEEP = ["check", "keep history"]
SCRIPTS = {
    "a zombie that trains on": [[*START, "close", *TRAIN, *SAVE, *TRAIN, *SAVE], [*START, *TRAIN, *SAVE, "close"]],
    "histories apart from the weights": [
        [*START, "close", *KEEP, "close", *KEEP, *TRAIN],
        [*START, "close", *KEEP, *TRAIN, "close"],
    ],
    "three after each other or at once": [
        [*START, *TRAIN, "check", "save"],
        [*START],
        [*START],
    ],
}


@dataclass(frozen=True)
class Saved:
    """A checkpoint or history of the saved states."""

    folder: tuple[int, int]
    """The lineage and the learner that its name tells."""
    lineage: int
    version: int
    past: Past
    weights: bool


@dataclass(frozen=True)
class Modelled:
    """A learner."""

    at: int = 0
    """Its next operation; -1 once it has ended."""
    claim: LineageStarted | None = None
    chosen: Saved | None = None
    version: int = 0
    checkpointed: int = 0
    past: Past = ()


@dataclass(frozen=True)
class World:
    learners: tuple[Modelled, ...]
    claims: tuple[LineageStarted, ...] = ()
    closings: frozenset[tuple[int, int, int, bool]] = frozenset()
    """(lineage, ordinal, version, trained)"""
    announced: frozenset[tuple[int, int]] = frozenset()
    """(learner, lineage)"""
    disk: frozenset[Saved] = frozenset()

    def move(self, number: int, *, ends: bool = False, **changes: object) -> "World":
        learner = self.learners[number]
        moved = replace(learner, at=-1 if ends else learner.at + 1, **changes)
        return replace(self, learners=(*self.learners[:number], moved, *self.learners[number + 1 :]))


INITIAL = Saved((NONE, NONE), 0, 0, (), weights=True)


@lru_cache(None)
def lineages_of(claims: tuple[LineageStarted, ...]) -> Lineages:
    return Lineages.of(claims)


@lru_cache(None)
def state_of(saved: Saved) -> SavedState:
    ordinal = len(saved.past)
    found = LearnerHistory(saved.lineage, saved.version, ordinal, {}, SeqSet(ordinal))
    return SavedState(Path(f"{saved.folder}/{saved.version}"), found)


@lru_cache(None)
def chosen_on(disk: frozenset[Saved], claims: tuple[LineageStarted, ...]) -> tuple[Saved, Saved]:
    """The weights and the history from which a learner would resume."""
    weights = {state_of(saved).checkpoint: saved for saved in disk if saved.weights}
    histories = [state_of(saved).history for saved in disk if not saved.weights]
    found = saved_states.choose([state_of(saved) for saved in weights.values()], histories, lineages_of(claims))
    its_weights = weights[found.checkpoint] if found.checkpoint else INITIAL
    pasts = {saved.past for saved in [its_weights, *disk] if state_of(saved).history == found.history}
    assert len(pasts) == 1, "two states on disk look alike and are of different histories"
    at = found.history
    return its_weights, Saved(its_weights.folder, at.lineage, at.version, pasts.pop(), weights=False)


def choose(world: World, number: int) -> World:
    lineages = lineages_of(world.claims)
    _, chosen = chosen_on(world.disk, world.claims)
    announced = [lineage for _, lineage in world.announced]
    made = LineageStarted(
        run_id=RUN,
        lineage=claim.next_lineage(lineages, announced, max((saved.folder[0] for saved in world.disk), default=NONE)),
        version=chosen.version,
        ordinal=len(chosen.past),
        started_at=0,
        follows=lineages.newest,
        learner=str(number),
    )
    return world.move(number, claim=made, chosen=chosen, version=chosen.version, past=chosen.past)


def pin(world: World, number: int) -> World:
    me, folder = world.learners[number], folder_of(world, number)
    on_disk = {state_of(saved).checkpoint: saved for saved in sorted(world.disk, key=repr) if saved.weights}
    if me.chosen.version and state_of(me.chosen).checkpoint not in on_disk:
        return world.move(number, ends=True)  # its owner has removed it
    resumed = SavedState(None, state_of(me.chosen).history)
    copied = saved_states.pinned([state_of(s) for s in on_disk.values()], resumed, lineages_of(world.claims))
    own = {state.history.version: replace(on_disk[state.checkpoint], folder=folder) for state in copied}
    disk = with_history(world.disk | set(own.values()), replace(me.chosen, folder=folder))
    return replace(world, disk=disk).move(number, checkpointed=me.version)


def make_claim(world: World, number: int) -> World:
    return replace(world, claims=(*world.claims, world.learners[number].claim)).move(number)


def check(world: World, number: int) -> World:
    return world.move(number, ends=not owns(world, number))


def own(world: World, number: int) -> World:
    return replace(world, disk=with_history(world.disk, now(world, number))).move(number)


def remove_others(world: World, number: int) -> World:
    folder = folder_of(world, number)
    kept = frozenset(saved for saved in world.disk if saved.folder[0] > folder[0] or saved.folder == folder)
    return replace(world, disk=kept).move(number)


def update(world: World, number: int) -> World:
    return world.move(number, version=world.learners[number].version + 1)


def announce(world: World, number: int) -> World:
    announced = world.announced | {(number, world.learners[number].claim.lineage)}
    return replace(world, announced=announced).move(number)


def close(world: World, number: int, *, trained: bool = False) -> World:
    me = world.learners[number]
    lineage = me.claim.lineage
    closings = world.closings | {(lineage, len(me.past), me.version, trained)}
    return replace(world, closings=closings).move(number, past=(*me.past, (lineage, trained)))


def close_trained(world: World, number: int) -> World:
    return close(world, number, trained=True)


def save(world: World, number: int) -> World:
    made = replace(now(world, number), weights=True)
    place = state_of(made).checkpoint
    kept = {saved for saved in world.disk if not saved.weights or state_of(saved).checkpoint != place}
    return replace(world, disk=frozenset(kept | {made})).move(number, checkpointed=made.version)


def prune(world: World, number: int) -> World:
    """Keeps one checkpoint, and removes what others left."""
    folder = folder_of(world, number)
    newest = max((saved.version for saved in world.disk if saved.weights and saved.folder == folder), default=0)
    kept = {s for s in world.disk if s.folder != folder or not s.weights or s.version == newest}
    return remove_others(replace(world, disk=frozenset(kept)), number)


def keep_history(world: World, number: int) -> World:
    me = world.learners[number]
    return own(world, number) if me.version == me.checkpointed else world.move(number)


OPERATIONS: dict[str, Callable[[World, int], World]] = {
    "choose": choose,
    "pin": pin,
    "claim": make_claim,
    "check": check,
    "own": own,
    "remove others": remove_others,
    "update": update,
    "announce": announce,
    "close": close,
    "close trained": close_trained,
    "save": save,
    "prune": prune,
    "keep history": keep_history,
}


def folder_of(world: World, number: int) -> tuple[int, int]:
    return world.learners[number].claim.lineage, number


def now(world: World, number: int) -> Saved:
    me, folder = world.learners[number], folder_of(world, number)
    return Saved(folder, folder[0], me.version, me.past, weights=False)


def with_history(disk: frozenset[Saved], history: Saved) -> frozenset[Saved]:
    """A folder has one history, which is replaced."""
    return frozenset({saved for saved in disk if saved.weights or saved.folder != history.folder} | {history})


def owns(world: World, number: int) -> bool:
    try:
        claim.require_newest(lineages_of(world.claims), world.learners[number].claim)
    except claim.FencedError:
        return False
    return True


def require_sound(world: World) -> None:
    lineages = Lineages.of(world.claims)
    surviving = lineages.admit(
        closed(ordinal, ordinal, Outcome.TRAINED if trained else Outcome.FILTERED, lineage=lineage, version=version)
        for lineage, ordinal, version, trained in sorted(world.closings)
    )
    by_ordinal = {each.ordinal: (each.lineage, each.outcome is Outcome.TRAINED) for each in surviving}
    assert len(by_ordinal) == len(surviving), "two histories survive"
    assert sorted(by_ordinal) == list(range(len(by_ordinal))), "a closing of the surviving history is lost"

    weights, resumed = chosen_on(world.disk, world.claims)
    past = tuple(by_ordinal[ordinal] for ordinal in range(len(resumed.past)) if ordinal in by_ordinal)
    assert resumed.past == past, "a learner would resume from another history than the one that survives"
    assert resumed.past[: len(weights.past)] == weights.past, "the history does not continue that of the weights"
    without_weights = [trained for _, trained in resumed.past[len(weights.past) :]]
    assert not any(without_weights), "closings survive whose updates are in no weights"
    newest = lineages.starts.get(lineages.newest)
    assert newest is None or len(resumed.past) >= newest.ordinal, "what the newest lineage resumed from is gone"

    writers = {lineage: learner for learner, lineage in world.announced}
    assert len(writers) == len(world.announced), "two learners announced under one lineage"
    owners = [number for number, me in enumerate(world.learners) if me.claim is not None and owns(world, number)]
    assert len(owners) <= 1, "two learners own the run"
    for me in (world.learners[number] for number in owners):
        written = tuple(by_ordinal[ordinal] for ordinal in sorted(by_ordinal))
        assert me.past == written, "the owner's closings are not the surviving ones"

    fresh = LineageStarted(
        run_id=RUN, lineage=lineages.newest + 1, version=0, ordinal=0, started_at=0, follows=lineages.newest
    )
    assert Lineages.of([*world.claims, fresh]).newest == fresh.lineage, "nobody can claim the run any more"


def reachable(script: list[list[str]]) -> Iterator[World]:
    first = World((Modelled(),) * len(script))
    seen, waiting = {first}, [first]
    while waiting:
        world = waiting.pop()
        yield world
        for number, me in enumerate(world.learners):
            if 0 <= me.at < len(script[number]):
                following = OPERATIONS[script[number][me.at]](world, number)
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)


@pytest.mark.parametrize("name", SCRIPTS)
def test_in_every_reachable_state_one_history_survives(name: str) -> None:
    all_claimed = False
    for world in reachable(SCRIPTS[name]):
        require_sound(world)
        all_claimed |= len(lineages_of(world.claims).starts) == len(SCRIPTS[name])
    assert all_claimed, "the search has no state in which all learners claimed the run after each other"


@pytest.mark.parametrize("left_out", ["pin", "check"])
def test_the_search_finds_what_is_wrong_without(left_out: str) -> None:
    script = [[*START, *TRAIN, *SAVE, *TRAIN, *SAVE], [*START, *TRAIN]]
    broken = [[name for name in each if name != left_out] for each in script]
    with pytest.raises(AssertionError):
        require_all_sound(broken)


def require_all_sound(script: list[list[str]]) -> None:
    for world in reachable(script):
        require_sound(world)
