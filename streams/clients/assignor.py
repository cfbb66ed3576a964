"""Assigns partitions to the members of a consumer group so that a member that joins or leaves moves few of them.

Cooperative and sticky (KIP-429): the counts of partitions differ by at most one between members, and a partition moves
only if that demands it. All others are read and worked on while it moves.

Invariant: a member claims only partitions that it holds. kafka-python repeats the claim of its last assignment after
the group has given it up; if the partition's new holder leaves at the same time, nobody would be given the partition.
"""

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor


class StickyAssignor(CooperativeStickyAssignor):  # type: ignore[misc] # kafka-python ships no types
    """One instance per consumer."""

    def forget(self) -> None:
        """The group has given the member up, with all that it held."""
        self.member_assignment = None
