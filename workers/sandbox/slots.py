"""An unprivileged uid and a cgroup, which one running sandbox owns and the next one uses again.

Invariant: no two live sandboxes of this host share a uid or a cgroup. A uid is claimed by an abstract socket's name,
which the kernel frees with the process that holds it. A slot is given out only when nothing runs in it.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workers.sandbox.cgroups import Cgroup, CgroupRoot

UIDS = range(61184, 65520)
"""Those that systemd keeps for services with a dynamic user: no file belongs to them."""


@dataclass(slots=True)
class UidSlot:
    uid: int | None
    """None: the service's own user."""
    cgroup: Cgroup | None
    claim: socket.socket | None = None
    groups: tuple[int, ...] = ()
    """Descriptors of the cgroup's files, open for a process that joins by writing to them."""

    @property
    def idle(self) -> bool:
        return self.cgroup is None or self.cgroup.empty

    def close(self) -> None:
        for descriptor in self.groups:
            os.close(descriptor)
        if self.cgroup is not None:
            self.cgroup.close()
        if self.claim is not None:
            self.claim.close()


class UidSlots:
    def __init__(self, root: CgroupRoot | None, *, own_uids: bool) -> None:
        self._root = root
        self._own_uids = own_uids
        self._free: list[UidSlot] = []
        self._busy: list[UidSlot] = []

    @contextmanager
    def lend(self) -> Iterator[UidSlot]:
        """Lends a slot until it is given back, or until the body fails. Raises OSError if no uid is free, or no cgroup
        can be made.
        """
        slot = next((slot for slot in self._free if slot.idle), None) or self._make()
        if slot in self._free:
            self._free.remove(slot)
        self._busy.append(slot)
        try:
            yield slot
        except BaseException:
            self.give(slot)
            raise

    def give(self, slot: UidSlot) -> None:
        self._busy.remove(slot)
        self._free.append(slot)

    def close(self) -> None:
        for slot in (*self._free, *self._busy):
            slot.close()
        self._free.clear()
        self._busy.clear()

    def _make(self) -> UidSlot:
        uid, claim = next(_free_uids()) if self._own_uids else (None, None)
        cgroup = self._root.make() if self._root else None
        groups = tuple(os.open(file, os.O_WRONLY | os.O_CLOEXEC) for file in cgroup.members) if cgroup else ()
        return UidSlot(uid, cgroup, claim, groups)


def _free_uids() -> Iterator[tuple[int, socket.socket]]:
    for uid in UIDS:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0rewardstream-sandbox-{uid}")
        except OSError:
            claim.close()
        else:
            yield uid, claim
    raise OSError(f"all uids from {UIDS.start} to {UIDS.stop - 1} are in use by sandboxes")
