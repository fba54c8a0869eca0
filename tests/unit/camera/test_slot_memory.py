"""Slot memory: a child can map it to read and can do nothing else; no dump, no swap, no growth."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from firmware.camera.frames import SlotMemory, map_readable
from firmware.ground.errors import CameraError

CHILD = """
import fcntl, json, mmap, os, sys
fd, size = int(sys.argv[1]), int(sys.argv[2])
said = {}
def attempt(name, act):
    try:
        act()
        said[name] = "done"
    except (OSError, PermissionError, ValueError) as error:
        said[name] = type(error).__name__
with mmap.mmap(fd, size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED) as seen:
    said["sees"] = seen[0]
attempt("write", lambda: os.pwrite(fd, b"x", 0))
attempt("map to write", lambda: mmap.mmap(fd, size, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_SHARED))
attempt("map to run and write", lambda: mmap.mmap(fd, size, prot=7, flags=mmap.MAP_SHARED))
attempt("grow", lambda: os.ftruncate(fd, size + 4096))
attempt("shrink", lambda: os.ftruncate(fd, 0))
attempt("allocate", lambda: os.posix_fallocate(fd, size, 4096))
attempt("unseal", lambda: fcntl.fcntl(fd, 1033, 0x0008))
def again():
    other = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    try:
        mmap.mmap(other, size, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_SHARED)
    finally:
        os.close(other)
attempt("open again and map to write", again)
print(json.dumps(said))
"""

POOR = """
import json, os, resource, sys
import firmware.camera.frames as frames
from firmware.ground.errors import CameraError
resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
bench = frames.SlotMemory(100_000, 4)
try:
    frames.SlotMemory(100_000, 4, profile="pole")
    refused = None
except CameraError as error:
    refused = error.facts()
print(json.dumps({"locked": bench.walls.locked, "missing": bench.walls.missing(), "refused": refused}))
"""


@pytest.fixture
def memory() -> Iterator[SlotMemory]:
    memory = SlotMemory(100_000, 3)
    yield memory
    memory.close()


def test_a_child_may_only_read(memory: SlotMemory) -> None:
    memory.writable(0)[0] = 77
    said = json.loads(
        subprocess.run(
            [sys.executable, "-c", CHILD, str(memory.descriptor), str(memory.total_bytes)],
            pass_fds=[memory.descriptor],
            capture_output=True,
            check=True,
        ).stdout
    )
    assert said.pop("sees") == 77
    assert len(said) == 8
    assert set(said.values()) == {"PermissionError"}, said


def test_not_even_its_owner_gets_a_second_writable_mapping(memory: SlotMemory) -> None:
    with pytest.raises(PermissionError):
        mmap.mmap(memory.descriptor, memory.total_bytes, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with memory.map_readable(1) as readable, pytest.raises(TypeError, match="readonly"):
        readable[0] = 1


def vm_flags(address: int) -> set[str]:
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        edges = line.split(maxsplit=1)[0]
        if "-" in edges and ":" not in edges:
            first, last = (int(edge, 16) for edge in edges.split("-"))
            inside = first <= address < last
        elif inside and line.startswith("VmFlags:"):
            return set(line.split()[1:])
    raise AssertionError("no such mapping")


def test_it_is_in_no_core_dump_no_fork_and_no_swap(memory: SlotMemory) -> None:
    flags = vm_flags(memory.writable(0).ctypes.data)
    assert {"dd", "dc"} <= flags
    assert ("lo" in flags) == memory.walls.locked
    with memory.map_readable(0) as readable:
        assert {"dd", "dc"} <= vm_flags(np.frombuffer(readable, dtype=np.uint8).ctypes.data)


def test_a_plain_user_is_told_and_a_pole_refuses() -> None:
    done = subprocess.run([sys.executable, "-c", POOR], capture_output=True, check=True)
    said = json.loads(done.stdout)
    assert said["locked"] is False
    assert said["missing"] == ["locked"]
    assert said["refused"]["code"] == "E-CAMERA-MEMORY"
    assert said["refused"]["clause"] == "5.2(1)"


def test_overwriting_takes_one_slot_with_its_padding_and_no_other(memory: SlotMemory) -> None:
    memory._bytes[:] = 3  # padding too, which no handle can reach
    memory.overwrite(1)
    blank = [memory.is_blank(slot) for slot in range(memory.slots)]
    assert blank == [False, True, False]
    assert memory.writable(0).all()
    assert memory.writable(2).all()
    assert memory.slot_bytes % mmap.PAGESIZE == 0
    assert memory.slot_bytes - memory.frame_bytes < mmap.PAGESIZE


def test_closing_overwrites_for_everybody_who_still_maps_it() -> None:
    memory = SlotMemory(4096, 1)
    memory.writable(0)[:] = 9
    with map_readable(memory.descriptor, memory.total_bytes) as elsewhere:
        assert elsewhere[5] == 9
        memory.close()
        memory.close()
        assert not any(elsewhere[:])


def test_closing_with_a_view_still_held_is_loud_and_overwrites_all_the_same() -> None:
    memory = SlotMemory(4096, 1)
    held = memory.writable(0)
    held[:] = 9
    with pytest.raises(CameraError, match="E-CAMERA-LEAK"):
        memory.close()
    assert not held.any()


def test_nothing_is_left_open_when_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    def refuse(_descriptor: int, _length: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("os.ftruncate", refuse)
    with pytest.raises(CameraError, match="E-CAMERA-MEMORY"):
        SlotMemory(4096, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(("frame_bytes", "slots"), [(0, 1), (1, 0), (-4, 2)])
def test_no_slot_or_an_empty_slot_is_refused(frame_bytes: int, slots: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SlotMemory(frame_bytes, slots)
