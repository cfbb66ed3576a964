"""Groups with pinned weights and others on one engine, in any order of arrival and announcement."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from support.messages import announced, ticket

from streams.messages import PolicyVersion, PromptTicket
from workers.engines.base import WeightVersion
from workers.rollout.shifts import Holding, Shifts, version_of

SLOTS = 4


@dataclass
class EngineModel:
    """An engine whose groups take three steps each, and the weights that it may load."""

    shifts: Shifts = field(default_factory=lambda: Shifts(SLOTS))
    newest: PolicyVersion = field(default_factory=lambda: announced(0))
    weights: WeightVersion = field(default_factory=lambda: WeightVersion(0, 0))
    followed: WeightVersion = field(default_factory=lambda: WeightVersion(0, 0))
    waiting: list[PromptTicket] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    tickets: dict[str, PromptTicket] = field(default_factory=dict)
    seen: dict[str, list[int]] = field(default_factory=dict)
    """Versions that made a group's tokens."""

    def add(self, asked: PromptTicket) -> None:
        self.waiting.append(asked)
        self.tickets[asked.group_id] = asked

    def turn(self) -> None:
        before, pinned = self.weights, self.shifts.pinned
        if pinned is None:
            self.weights = self.followed = version_of(self.newest)
        elif self.shifts.may_load:
            self.weights = version_of(pinned)
        if self.weights != before:
            assert not any(self.tickets[name].weights for name in self.running), "weights changed under a pinned group"
        followed = self.weights == self.followed
        holding = Holding(self.weights, followed, followed and self.followed == version_of(self.newest))
        started = [self.tickets[name] for name in self.running]
        for each in self.shifts.advance(list(self.waiting), started, holding):
            if each.weights is None:
                assert self.weights == self.followed, "a group starts on weights that only a shift brought back"
            self.waiting.remove(each)
            self.running[each.group_id] = 3
        for name in list(self.running):
            self.seen.setdefault(name, []).append(self.weights.version)
            self.running[name] -= 1
            if not self.running[name]:
                del self.running[name]


EVENTS = st.lists(
    st.one_of(st.just("turn"), st.just("announce"), st.just("free"), st.integers(0, 3).map(lambda back: ("pin", back))),
    max_size=40,
)


@given(EVENTS)
def test_pinned_groups_are_of_one_version_and_every_group_is_generated(events) -> None:
    engine = EngineModel()
    for seq, event in enumerate(events):
        match event:
            case "turn":
                engine.turn()
            case "announce":
                engine.newest = announced(engine.newest.version + 1)
            case "free":
                engine.add(ticket(seq, min_version=engine.newest.version))
            case ("pin", back):
                weights = announced(max(0, engine.newest.version - back))
                engine.add(ticket(seq, weights=weights, min_version=weights.version))
    turns = 0
    while engine.waiting or engine.running:
        engine.turn()
        turns += 1
        assert turns < 20 * (len(engine.tickets) + 2), "a group waits for ever"
    for name, versions in engine.seen.items():
        asked = engine.tickets[name]
        if asked.weights is not None:
            assert set(versions) == {asked.weights.version}
        else:
            assert versions == sorted(versions)
            assert versions[0] >= asked.min_version


@given(st.integers(30, 120))
def test_both_kinds_are_generated_while_both_keep_arriving(turns: int) -> None:
    engine = EngineModel(newest=announced(5))
    for seq in range(turns):
        engine.add(ticket(seq, weights=announced(3) if seq % 2 else None))
        engine.turn()
    done = [engine.tickets[name].weights is not None for name in engine.seen if name not in engine.running]
    assert min(done.count(True), done.count(False)) >= turns // 12


def test_a_shift_at_the_newest_version_keeps_nobody_waiting() -> None:
    engine = EngineModel(newest=announced(2))
    engine.turn()
    for seq in range(6):
        engine.add(ticket(seq, weights=announced(2) if seq % 2 else None))
    engine.turn()
    assert len(engine.running) == 6
