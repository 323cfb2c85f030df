"""A worker counts the cores that its container may use, not those of the machine."""

import os
from pathlib import Path

import pytest

from services.inference.worker.cores import usable_cores

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct"
OTHER_V1 = "34 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset"
CPU = "sys/fs/cgroup/cpu,cpuacct"
GROUP = "sys/fs/cgroup"


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


def machine(root: Path, cgroup: str, mountinfo: str, files: dict[str, str]) -> Path:
    """Write the files of a machine below `root` and return it."""
    for name, text in {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("100000 100000\n", 1),
        ("199000 100000\n", 1),
        ("200000 100000\n", 2),
        ("75000 10000\n", 7),
        ("300000 1000000\n", 1),
        ("3200000 100000\n", 8),
        ("max 100000\n", 8),
        ("max\n", 8),
        ("200000\n", 8),
        ("", 8),
        ("-1 100000\n", 8),
        ("0 100000\n", 8),
        ("200000 0\n", 8),
        ("two cores\n", 8),
        (f"{'9' * 400} 100000\n", 8),
        (f"{'9' * 5000} 100000\n", 8),
    ],
)
def test_quota_of_version_2(tmp_path: Path, limit: str, cores: int) -> None:
    """A quota is rounded down to whole cores, at least one; no quota, and what is none, leaves all cores."""
    found = machine(tmp_path, "0::/\n", V2, {f"{GROUP}/cpu.max": limit})
    assert usable_cores(found) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [
        ("50000\n", "100000\n", 1),
        ("250000\n", "100000\n", 2),
        ("30000\n", "10000\n", 3),
        ("-1\n", "100000\n", 8),
        ("200000\n", "", 8),
        ("?\n", "100000\n", 8),
    ],
)
def test_quota_of_version_1(tmp_path: Path, quota: str, period: str, cores: int) -> None:
    """Version 1 of control groups keeps quota and period in files of their own; -1 is no quota."""
    files = {f"{CPU}/cpu.cfs_quota_us": quota, f"{CPU}/cpu.cfs_period_us": period}
    found = machine(tmp_path, "5:cpuset:/\n4:cpu,cpuacct:/\n0::/\n", f"{OTHER_V1}\n{V1}\n", files)
    assert usable_cores(found) == cores


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({"a": "max 100000", "a/b": "400000 100000", "a/b/c": "600000 100000"}, 4),
        ({"a": "150000 100000", "a/b": "400000 100000", "a/b/c": "max 100000"}, 1),
        ({"a": "700000 100000", "a/b": "500000 100000", "a/b/c": "300000 100000"}, 3),
        ({"a/b/c": "200000 100000"}, 2),
        ({"a": "200000 100000", "a/b/c/d": "100000 100000", "z": "100000 100000"}, 2),
        ({"a/b/c": "no number"}, 8),
    ],
)
def test_lowest_quota_of_nested_groups_counts(tmp_path: Path, quotas: dict[str, str], cores: int) -> None:
    """The groups around the process's own limit it as well, and those beside and below it do not."""
    (tmp_path / GROUP / "a/b/c").mkdir(parents=True)
    files = {f"{GROUP}/{group}/cpu.max": f"{limit}\n" for group, limit in quotas.items()}
    assert usable_cores(machine(tmp_path, "0::/a/b/c\n", V2, files)) == cores


def test_nested_groups_of_version_1(tmp_path: Path) -> None:
    """The pod's quota counts for each of its containers."""
    quotas = {"kubepods/pod1": "100000", "kubepods/pod1/worker": "-1", "kubepods": "400000"}
    files = {f"{CPU}/{group}/cpu.cfs_quota_us": quota for group, quota in quotas.items()}
    files |= {f"{CPU}/{group}/cpu.cfs_period_us": "50000" for group in quotas}
    found = machine(tmp_path, "4:cpu,cpuacct:/kubepods/pod1/worker\n", V1, files)
    assert usable_cores(found) == 2


@pytest.mark.parametrize("path", ["/", "/../..", "/../../system.slice", "/docker/0a1b", "/gone (deleted)", "/a/../.."])
def test_group_that_is_mounted_itself(tmp_path: Path, path: str) -> None:
    """In a namespace of control groups the container's own group is the one at the mount, whatever its path is."""
    found = machine(tmp_path, f"0::{path}\n", V2, {f"{GROUP}/cpu.max": "200000 100000\n"})
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert usable_cores(found) == 2


@pytest.mark.parametrize("path", ["/docker/0a1b", "/docker/0a1b/inner", "/docker/0a1b9"])
def test_mount_of_a_part_of_the_tree(tmp_path: Path, path: str) -> None:
    """Without a namespace of control groups a container sees the host's path, and only its own part of the tree."""
    mountinfo = V2.replace(" / /sys", " /docker/0a1b /sys")
    files = {f"{GROUP}/cpu.max": "300000 100000\n", f"{GROUP}/inner/cpu.max": "max 100000\n"}
    assert usable_cores(machine(tmp_path, f"0::{path}\n", mountinfo, files)) == 3


def test_both_versions_at_once(tmp_path: Path) -> None:
    """Where version 2 is mounted beside version 1, the lower quota of both counts."""
    unified = V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    files = {
        f"{CPU}/pod/cpu.cfs_quota_us": "500000\n",
        f"{CPU}/pod/cpu.cfs_period_us": "100000\n",
        f"{GROUP}/unified/pod/cpu.max": "400000 100000\n",
    }
    assert usable_cores(machine(tmp_path, "1:cpu,cpuacct:/pod\n0::/pod\n", f"{V1}\n{unified}\n", files)) == 4


def test_mount_with_blanks_and_backslashes_in_its_name(tmp_path: Path) -> None:
    """The kernel writes blanks, tabs and backslashes of a path as octal numbers."""
    mountinfo = V2.replace("/sys/fs/cgroup", r"/my\040sys/\134c\011g")
    found = machine(tmp_path, "0::/\n", mountinfo, {"my sys/\\c\tg/cpu.max": "200000 100000\n"})
    assert usable_cores(found) == 2


@pytest.mark.parametrize(
    "cgroup", ["", "nonsense\n", "0::\n", "::/\n", "4:cpu\n", "\n\n", "0::/a\0b\n", "0::/\udcff\n"]
)
@pytest.mark.parametrize("mountinfo", ["", "nonsense\n", " - \n", "30 - cgroup2\n", "a - cgroup x\n", "- cgroup2", V2])
def test_files_that_say_nothing(tmp_path: Path, cgroup: str, mountinfo: str) -> None:
    """Files that are empty, cut or none of the kernel's set no limit and stop no start."""
    folder = tmp_path / "proc/self"
    folder.mkdir(parents=True)
    (folder / "cgroup").write_bytes(os.fsencode(cgroup))
    (folder / "mountinfo").write_bytes(os.fsencode(mountinfo))
    assert usable_cores(tmp_path) == 8


@pytest.mark.parametrize("missing", ["proc/self/cgroup", "proc/self/mountinfo", GROUP])
def test_machine_without_control_groups(tmp_path: Path, missing: str) -> None:
    """Where control groups are not mounted or not known, as on macOS, all cores count."""
    machine(tmp_path, "0::/\n", V2, {f"{GROUP}/cpu.max": "100000 100000\n"})
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    assert usable_cores(tmp_path) == 8


def test_affinity_below_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of CPUs (cpuset, taskset) limits the process beside its quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    found = machine(tmp_path, "0::/\n", V2, {f"{GROUP}/cpu.max": "400000 100000\n"})
    assert usable_cores(found) == 2


def test_machine_without_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no affinity, its number of cores counts; one, if that is not known either."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores(tmp_path) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1
