"""What a member of a consumer group that joins or leaves moves, by the rounds that a group goes through."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.clients.assignor import StickyAssignor

TOPIC = "prompts"


class Group:
    """The members' assignors, and the rounds of rebalancing as kafka-python's coordinator runs them."""

    def __init__(self, partitions: int) -> None:
        self.partitions = set(range(partitions))
        self.members: dict[str, StickyAssignor] = {}
        self.held: dict[str, set[int]] = {}
        self._cluster: Any = SimpleNamespace(topics=lambda: {TOPIC}, partitions_for_topic=lambda _: self.partitions)

    def join(self, name: str) -> None:
        self.members[name] = StickyAssignor()
        self.held[name] = set()

    def leave(self, name: str) -> None:
        del self.members[name], self.held[name]

    def evict(self, name: str) -> None:
        """The group gives the member up, and it notices when it joins again."""
        self.held[name] = set()
        self.members[name].forget()

    def settle(self) -> int:
        """Rounds until nobody has to give anything up; returns how many partitions were given up in them."""
        given_up = 0
        while (found := self._round()) > 0:
            given_up += found
        return given_up

    def _round(self) -> int:
        asked = [
            SimpleNamespace(member_id=name, metadata=assignor.metadata({TOPIC}))
            for name, assignor in self.members.items()
        ]
        if not asked:
            return 0
        found = next(iter(self.members.values())).assign(self._cluster, asked)
        given_up = 0
        for name, assignment in found.items():
            new = {number for _, numbers in assignment.assigned_partitions for number in numbers}
            given_up += len(self.held[name] - new)
            self.held[name] = new
            self.members[name].on_assignment(assignment, 0)
        assert sum(map(len, self.held.values())) == len(set().union(*self.held.values())), "one reader a partition"
        return given_up


def full_group(members: int, partitions: int) -> Group:
    group = Group(partitions)
    for number in range(members):
        group.join(f"m{number:03d}")
    group.settle()
    return group


@given(st.lists(st.sampled_from(["join", "leave", "evict"]), max_size=8), st.data())
def test_every_partition_has_one_reader_and_a_change_moves_no_more_than_balance_asks(
    changes: list[str], data: st.DataObject
) -> None:
    group = full_group(4, 24)
    for number, change in enumerate(changes):
        if change == "join" or not group.members:
            group.join(f"n{number}")
            assert group.settle() <= -(-24 // len(group.members))
        else:
            name = data.draw(st.sampled_from(sorted(group.members)))
            group.leave(name) if change == "leave" else group.evict(name)
            assert group.settle() == 0, "others only get more"
        if group.members:
            assert set().union(*group.held.values()) == group.partitions
            sizes = [len(held) for held in group.held.values()]
            assert max(sizes) - min(sizes) <= 1


def test_a_hundredth_worker_takes_a_hundredth() -> None:
    group = full_group(99, 400)
    group.join("late")
    assert group.settle() == 4
    assert len(group.held["late"]) == 4


def test_what_a_member_lost_is_read_even_if_its_next_reader_leaves_before_it_is_back() -> None:
    group = full_group(3, 6)
    lost = group.held["m000"]
    group.evict("m000")
    others = {name: group.members.pop(name) for name in ["m000"]}
    group.settle()
    heir = next(name for name, held in group.held.items() if held & lost)
    group.leave(heir)
    group.members |= others
    group.settle()
    assert set().union(*group.held.values()) == group.partitions
