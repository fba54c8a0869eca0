"""A hostile child tries to get out: as root's child and as a plain user's; and the same with the door open.

The open door is the proof that an attack is a real one: what works there and not behind the shut door was stopped by
the door. Frames have a wall of their own (the seal of their memory), shown by lending memory without it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyseccomp
import pytest

from firmware.camera.frames import SlotMemory
from firmware.drivers.jail import Jailed, Limits
from firmware.drivers.jail_door import SYSTEM_CALLS, WALLS
from tests.attacks.hostile_child import ATTACKS, PAGE
from tests.attacks.hostile_start import ROOT, start

NEED_ROOT = {
    "become_root", "change_root", "count_performance", "load_a_program_into_the_kernel", "mount", "open_by_handle",
    "read_the_kernels_log",
}  # fmt: skip
CLOSED_ON_SOME_KERNELS = {
    "catch_page_faults", "count_performance", "hold_the_parent_by_pidfd", "keep_a_key_in_the_kernel",
    "load_a_program_into_the_kernel", "make_a_user_namespace", "make_executable_with_a_key", "make_secret_memory",
    "mount", "read_the_kernels_log", "set_up_a_ring", "take_the_parents_descriptor",
}  # fmt: skip
YAMA = {
    "read_the_parents_memory", "read_the_parents_memory_as_a_file", "take_the_parents_descriptor", "trace_the_parent",
    "write_the_parents_memory",
}  # fmt: skip

PROBES = {335, 336}
"""uretprobe and uprobe of x86-64: the kernel passes them by every filter, and they do nothing but in a probe it set."""

Results = dict[str, Any]


def run_as(user: str, door: str, memory: str) -> Results:
    """Run all attacks in a parent of their own. A plain user keeps the right to read, for the interpreter's files."""
    command = [sys.executable, "-m", "tests.attacks.hostile_parent", door, memory]
    if user == "plain" and os.getuid() == 0:
        assert shutil.which("setpriv"), "setpriv of util-linux makes a plain user of root"
        right = "+dac_read_search"
        people = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
        command = ["setpriv", *people, "--inh-caps", right, "--ambient-caps", right, *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    results: Results = json.loads(done.stdout)
    return results


@pytest.fixture(scope="module", params=["root", "plain"])
def user(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    if chosen == "root" and os.getuid() != 0:
        pytest.skip("only root can try it as root")
    return chosen


def worked(results: Results) -> set[str]:
    return {name for name in ATTACKS if results[name]["got"]}


def test_nothing_works_behind_the_shut_door(user: str) -> None:
    results = run_as(user, "shut", "sealed")
    assert worked(results) == set()
    assert results["missing"] == []
    assert results["capabilities"] == ["0" * 16]
    assert results["memory belongs to"] == 0, "what is not dumpable belongs to root, so that its equals may not look"
    assert {results[name].get("gone") for name in ATTACKS} == {None}, "refused, not merely dead of it"


def test_the_same_attacks_work_with_the_door_open(user: str) -> None:
    results = run_as(user, "open", "loose")
    expected = set(ATTACKS) - CLOSED_ON_SOME_KERNELS
    if user == "plain":
        expected -= NEED_ROOT
        if Path("/proc/sys/kernel/yama/ptrace_scope").exists():
            expected -= YAMA
    assert expected - worked(results) == set()
    assert len(expected) >= 16
    assert set(results["missing"]) == set(WALLS)


def test_without_the_seal_of_its_memory_frames_could_be_written(user: str) -> None:
    assert worked(run_as(user, "shut", "loose")) == {"map_frames_to_write", "turn_frames_writable"}


@pytest.fixture
def memory() -> Iterator[SlotMemory]:
    slots = SlotMemory(PAGE, 2)
    yield slots
    slots.close()


@pytest.fixture
async def children() -> AsyncIterator[list[Jailed]]:
    started: list[Jailed] = []
    yield started
    for child in started:
        await child.close()


async def hostile(
    children: list[Jailed],
    memory: SlotMemory,
    tmp_path: Path,
    *,
    extra: dict[str, int] | None = None,
    forgets: bool = False,
    limits: Limits | None = None,
    system_calls: Sequence[str] = (),
) -> Jailed:
    plan = {"shut": True, "folder": str(tmp_path), "address": 0, "treasure": "", "system_calls": system_calls}
    plan["forgets"] = forgets
    lend = {"frames": memory.descriptor, **(extra or {})}
    children.append(await start("hostile_child", plan, lend=lend, limits=limits))
    return children[-1]


async def test_every_system_call_outside_the_list_is_refused(
    children: list[Jailed], memory: SlotMemory, tmp_path: Path
) -> None:
    child = await hostile(children, memory, tmp_path)
    number = {name: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in SYSTEM_CALLS}
    ends_the_child = {number["exit"], number["exit_group"], number["rt_sigreturn"]}
    only_the_control_socket = {number["recvmsg"], number["sendto"]}  # asked with descriptor 0 here
    skipped = ends_the_child | (PROBES if platform.machine() == "x86_64" else set())
    asked = [candidate for candidate in range(600) if candidate not in skipped]
    answered: list[int] = []
    for begin in range(0, len(asked), 200):
        message = "sweep " + json.dumps(asked[begin : begin + 200])
        answered += json.loads(await child.ask(message.encode(), 5))
    memory_rules = {pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in ("mmap", "mprotect")}
    assert set(answered) == set(number.values()) - ends_the_child - only_the_control_socket | memory_rules


async def test_a_child_holds_what_is_lent_and_nothing_else(
    children: list[Jailed], memory: SlotMemory, tmp_path: Path
) -> None:
    inheritable = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(inheritable, True)  # even what somebody forgot to close
    lent = os.open("/etc/passwd", os.O_RDONLY)
    try:
        child = await hostile(children, memory, tmp_path)
        assert json.loads(await child.ask(b"descriptors", 5)) == [0, 1, 2, 3, 4]
        child = await hostile(children, memory, tmp_path, forgets=True)
        assert json.loads(await child.ask(b"descriptors", 5)) == [0, 1, 2, 3, 4]
        child = await hostile(children, memory, tmp_path, extra={"more": lent})
        assert json.loads(await child.ask(b"descriptors", 5)) == [0, 1, 2, 3, 4, 5]
    finally:
        os.close(inheritable)
        os.close(lent)


async def test_what_the_kernel_says_of_a_shut_child(children: list[Jailed], memory: SlotMemory, tmp_path: Path) -> None:
    child = await hostile(children, memory, tmp_path)
    kernel_says_no_more_is_possible(Path(f"/proc/{child.pid}"))


def kernel_says_no_more_is_possible(process: Path) -> None:
    status = dict(re.findall(r"^(\w+):\t(.*)$", (process / "status").read_text(), re.MULTILINE))
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Threads"] == "1"
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert "0" not in status["Uid"].split()
    assert "0" not in status["Gid"].split()
    limits = (process / "limits").read_text()
    for name in ("core file size", "file size", "processes", "locked memory"):
        assert re.search(rf"^Max {name} +0 +0 ", limits, re.MULTILINE), name
    assert re.search(r"^Max open files +5 +5 ", limits, re.MULTILINE)
    if os.getuid() == 0:  # the child is not dumpable: only root may look
        assert not re.search(r"^\S+ .wx", (process / "maps").read_text(), re.MULTILINE), "writable and executable"
        assert {(process / "fd" / str(stream)).readlink() for stream in range(3)} == {Path("/dev/null")}
        flags = re.findall(r"flags:\t(\d+)", (process / "fdinfo" / "2").read_text())
        assert int(flags[0], 8) & os.O_ACCMODE == os.O_RDONLY


async def test_even_with_write_allowed_streams_and_frames_take_nothing(
    children: list[Jailed], memory: SlotMemory, tmp_path: Path
) -> None:
    child = await hostile(children, memory, tmp_path, limits=Limits(file_bytes=PAGE), system_calls=["write"])
    assert json.loads(await child.ask(b"write_into_frames", 5))["refused"] == "EPERM", "the seal of the memory"
    assert json.loads(await child.ask(b"write_to_the_streams", 5))["refused"] == "EBADF"


LANDLOCK = {
    "read_a_file": 1, "write_a_file": 1, "list_a_folder": 1, "make_a_pipe_in_the_file_system": 1,
    "read_the_parents_memory_as_a_file": 1, "write_own_memory_as_a_file": 1, "become_another_program": 1,
    "listen_to_the_internet": 4, "signal_the_parent": 6,
}  # fmt: skip
"""What Landlock alone refuses, and since which of its versions; opening lent memory again is its seal's matter."""
OTHERS = {"fork", "start_a_thread", "raise_its_limits", "read_the_parents_memory", "trace_the_parent", "become_root",
    "change_root"}  # fmt: skip


def test_behind_the_list_of_system_calls_stand_other_walls(user: str) -> None:
    results = run_as(user, "holes", "sealed")
    assert results["landlock"] > 0
    for name, version in LANDLOCK.items():
        if results["landlock"] >= version:
            assert results[name].get("refused") in {"EACCES", "EPERM"}, (name, results[name])
            assert version > 1 or results[name]["refused"] == "EACCES", "this one is Landlock's word"
    assert not worked(results) & OTHERS


async def test_a_file_grows_to_its_limit_and_no_further(
    children: list[Jailed], memory: SlotMemory, tmp_path: Path
) -> None:
    child = await hostile(children, memory, tmp_path, limits=Limits(file_bytes=0), system_calls=["write"])
    assert json.loads(await child.ask(b"write_into_frames", 5))["refused"] == "EFBIG"
