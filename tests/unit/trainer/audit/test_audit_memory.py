"""An audit holds one group at a time: its memory does not grow with the run, and a full disk is said."""

import gc
import sqlite3
import sys

import pytest
from support.audit_history import spool_long_run

from trainer.audit.audit import report_on
from trainer.audit.evidence import KINDS, RolloutCopy, TicketCopy
from trainer.audit.spool import EvidenceSpool


class WatchedSpool(EvidenceSpool):
    """Notes the most blocks of Python's memory that live while items come and go."""

    most = 0

    def add(self, *arguments):
        super().add(*arguments)
        self.look()

    def groups(self):
        for group in super().groups():
            self.look()
            yield group

    def look(self):
        self.most = max(self.most, sys.getallocatedblocks())


def blocks_of(groups):
    """Objects and buffers that an audit holds; SQLite's own memory has the bound that `CACHE_MIB` sets."""
    gc.collect()
    before = sys.getallocatedblocks()
    with WatchedSpool(KINDS) as spool:
        report = report_on(spool_long_run(groups, spool))
    assert (report.violations, report.counts["verdicts"], report.counts["score_rows"]) == ([], 2 * groups, 2 * groups)
    return spool.most - before


def test_memory_does_not_grow_with_the_number_of_groups():
    """Less than one block for each group more; a list of the groups would take several. A batch is full in both."""
    few, many = 1100, 2600
    assert blocks_of(many) - blocks_of(few) < many - few


def test_groups_come_by_number_and_their_items_in_the_order_of_their_coming():
    with EvidenceSpool((RolloutCopy, TicketCopy)) as spool:
        for turn in range(700):
            for seq in (10, 2, 10**18, -1):
                spool.add(seq, TicketCopy(str(turn), b"") if seq == 2 else RolloutCopy(turn, 2))
        found = [(seq, [each.item for each in items]) for seq, items in spool.groups()]
    assert [seq for seq, _ in found] == [-1, 2, 10, 10**18]
    assert found[1][1] == [TicketCopy(str(turn), b"") for turn in range(700)]
    assert all(items == [RolloutCopy(turn, 2) for turn in range(700)] for seq, items in found if seq != 2)


def test_a_place_is_given_back_unless_a_dead_letter_names_it():
    with EvidenceSpool((RolloutCopy,)) as spool:
        for index, place in enumerate(["scored[0]@1", "scored[0]@2", None]):
            spool.add(0, RolloutCopy(index, 3), place)
        spool.set_aside("scored[0]@2", b"")
        places = [each.place for _, items in spool.groups() for each in items]
    assert places == ["scored[0]@1", None, None]


def test_a_disk_without_room_is_said_with_what_to_do(monkeypatch):
    connect = sqlite3.connect

    def small(*arguments, **options):
        database = connect(*arguments, **options)
        database.execute("PRAGMA max_page_count=40")
        return database

    monkeypatch.setattr("trainer.audit.spool.sqlite3.connect", small)
    with EvidenceSpool((RolloutCopy,)) as spool, pytest.raises(OSError, match="set TMPDIR to a folder"):
        fill(spool)


def fill(spool):
    for index in range(100_000):
        spool.add(0, RolloutCopy(index, 2))
