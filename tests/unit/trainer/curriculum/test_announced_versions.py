"""Which announcement an evaluation of a version names."""

from support.messages import RUN, announced, started

from streams.announcements import signature_headers
from streams.codec import encode, headers_of
from streams.messages import PolicyVersion
from streams.records import Record
from trainer.curriculum.announced_versions import AnnouncedVersions
from trainer.curriculum.lineages import Lineages


class Log:
    """The records that a reader still has to return, one a poll."""

    def __init__(self, *records: Record) -> None:
        self.records = list(records)

    def lag(self) -> dict[int, int]:
        return {0: len(self.records)}

    def poll(self, timeout: float) -> list[Record]:
        return [self.records.pop(0)]


def record(message: PolicyVersion, key: bytes | None = None) -> Record:
    headers = tuple(headers_of(message, **signature_headers(message, key)))
    return Record("policy.versions", 0, 0, 0.0, b"", encode(message), headers)


def test_the_announcement_of_the_surviving_history_is_found() -> None:
    first = [announced(version, uri="first") for version in range(6)]
    second = [announced(version, lineage=1, uri="second") for version in range(3, 6)]
    other = announced(4, lineage=9, run_id="another")
    log = Log(*map(record, [*first, other, *second]), Record("policy.versions", 0, 0, 0.0, b"", b"\xc1"))
    found = AnnouncedVersions(RUN, log)
    lineages = Lineages.of([started(0, 0), started(1, 5, version=3)])
    assert found.find(2, lineages) == first[2]
    assert found.find(4, lineages) == second[1]
    assert found.find(7, lineages) is None
    log.records = [record(announced(7, lineage=1))]
    assert found.find(7, lineages) == announced(7, lineage=1)


def test_what_is_not_signed_is_not_named() -> None:
    log = Log(record(announced(1), b"theirs"), record(announced(2), b"ours"))
    found = AnnouncedVersions(RUN, log, b"ours")
    assert found.find(1, Lineages()) is None
    assert found.find(2, Lineages()) == announced(2)
