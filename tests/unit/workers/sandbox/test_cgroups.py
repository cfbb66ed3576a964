"""Groups are found under both versions of cgroups, on files like the kernel's."""

from pathlib import Path

import pytest

from workers.sandbox.cgroups import V1, V2, Cgroup, CgroupRoot, _places

V1_MOUNTS = """\
31 23 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 23 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
33 23 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
22 1 0:20 / /proc rw - proc proc rw
"""


def test_version_1_own_groups_then_the_mounts() -> None:
    own = "8:pids:/\n4:memory:/box/7\n0::/\n"
    memory, pids = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/pids")
    assert list(_places(own, V1_MOUNTS))[:2] == [(V1, memory / "box/7", pids), (V1, memory, pids)]


@pytest.mark.parametrize(("delegated", "found"), [("service", True), ("", True), (None, False)])
def test_version_2_where_both_controllers_are_delegated(tmp_path: Path, delegated: str | None, *, found: bool) -> None:
    (tmp_path / "slice/service").mkdir(parents=True)
    for folder in ("slice/service", "slice", "."):
        (tmp_path / folder / "cgroup.subtree_control").write_text("cpu\n")
    if delegated is not None:
        (tmp_path / "slice" / delegated / "cgroup.subtree_control").write_text("cpu memory pids\n")
    mounts = f"30 23 0:26 / {tmp_path} rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
    folder = tmp_path / "slice" / (delegated or "")
    expected = [(V2, folder, folder)] if found else []
    assert list(_places("0::/slice/service\n", mounts)) == expected


def test_limits_and_kills_of_version_2(tmp_path: Path) -> None:
    for name, text in {"memory.max": "max", "pids.max": "max", "memory.swap.max": "max", "cgroup.procs": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "memory.events").write_text("low 0\noom 0\noom_kill 0\n")
    group = Cgroup(V2, tmp_path, tmp_path)
    group.limit(2**28, 7)
    read = {name: (tmp_path / name).read_text() for name in ("memory.max", "pids.max", "memory.swap.max")}
    assert read == {"memory.max": str(2**28), "pids.max": "7", "memory.swap.max": "0"}
    assert group.members == (tmp_path / "cgroup.procs",)
    assert group.empty
    assert not group.killed_for_memory()
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.killed_for_memory()
    assert not group.killed_for_memory()


def test_groups_of_one_process_are_apart() -> None:
    root = CgroupRoot.find()
    if root is None:
        pytest.skip("no cgroup can be made here")
    one, other = root.make(), root.make()
    try:
        assert set(one.members).isdisjoint(other.members)
    finally:
        one.close()
        other.close()


def test_a_real_group_is_limited_and_removed() -> None:
    root = CgroupRoot.find()
    if root is None:
        pytest.skip("no cgroup can be made here")
    group = root.make()
    for memory in (2**28, 2**26, 2**27):
        group.limit(memory, 9)
        assert (group._memory / root.layout.memory[0]).read_text().strip() == str(memory)
    group.close()
    assert not group._memory.exists()
    assert not group._pids.exists()
