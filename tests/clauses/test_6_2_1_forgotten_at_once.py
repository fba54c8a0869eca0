"""6.2(1), 5.2(1): pictures are gone the moment their lease ends, in every form, in both processes that had them.

Marked pictures go through the real pool, the real lease and the real jailed counter; then all readable memory of
both processes is searched for the mark: raw, planar, resized as the detector sees it, as int8, in grey.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.camera.frames import CaptureStamp
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.ground.errors import JailError
from tests.attacks.hostile_start import INTERPRETER
from tests.canary import Scan, make_mark, scan_process
from tests.parts.leased_counter import Counting, counting

ALL = FlowSettings(attributes=tuple(Dimension))
ROOT = Path(__file__).parents[2]
PAINT = """
import sys
from tests.canary import make_mark
for seed in map(int, sys.argv[2:]):
    open(f"{sys.argv[1]}/{seed}.i420", "wb").write(make_mark(seed).i420(360, 640).tobytes())
"""
SEED = 1311  # no other test draws this one: their leftovers in this process are not this test's
FRAMES = 12


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """Marked pictures as files, painted elsewhere: this process must never have held them but in a slot."""
    subprocess.run([sys.executable, "-c", PAINT, str(tmp_path), str(SEED)], check=True, cwd=ROOT)
    return tmp_path


def deliver(parts: Counting, painted: Path) -> None:
    filling = parts.frames.claim()
    assert filling is not None
    with Path(painted, f"{SEED}.i420").open("rb", buffering=0) as file:
        assert file.readinto(filling.view) == len(filling.view)
    now = parts.clock
    filling.publish(CaptureStamp(now.utc_ns(), now.boot_ns(), now.stopwatch_ns(), None, 0))


def search(pid: int) -> Scan:
    """Search for the mark with pixels 1 and 3 bytes apart (planes, grey; the detector's input), uint8 and int8."""
    return scan_process(pid, [pattern for pattern in make_mark(SEED).patterns() if not pattern.name.endswith("-4")])


async def test_it_is_there_while_leased_and_nowhere_afterwards(painted: Path) -> None:
    async with counting(ALL) as parts:
        assert parts.counter.pid is not None
        deliver(parts, painted)
        async with parts.frames.lease():
            assert search(os.getpid()).names
            assert search(parts.counter.pid).names  # the child reads the very same memory
        people = 0
        for _ in range(FRAMES):
            deliver(parts, painted)
            async with parts.frames.lease() as frame:
                people += (await parts.counter.count(frame)).persons
        assert people > 0  # bright bars are people to the planted model: crops were cut as well
        for pid in (os.getpid(), parts.counter.pid):
            after = search(pid)
            assert after.hits == []
            assert after.bytes_read > 10_000_000


async def test_a_counter_that_does_not_overwrite_is_caught(painted: Path) -> None:
    hostile = {"module": "tests.attacks.forgetful_counter", "interpreter": INTERPRETER}
    async with counting(ALL, **hostile) as parts:
        assert parts.counter.pid is not None
        deliver(parts, painted)
        async with parts.frames.lease() as frame:
            await parts.counter.count(frame)
        found = search(parts.counter.pid)
        assert any("int8-3" in name for name in found.names)  # the detector's input, as int8, three bytes a pixel


async def test_a_late_counter_is_dead_before_its_slot_is_used_again(painted: Path) -> None:
    hostile = {"module": "tests.attacks.hostile_counter", "interpreter": INTERPRETER}
    async with counting(FlowSettings(deadline_ms=600), models=Path("/nowhere/late"), **hostile) as parts:
        pid = parts.counter.pid
        for _ in range(2):  # an honest answer, then none
            deliver(parts, painted)
            try:
                async with parts.frames.lease() as frame:
                    await parts.counter.count(frame)
            except JailError as error:
                assert error.code == "E-JAIL-DEADLINE"
                break
        else:
            pytest.fail("it answered in time")
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, 0)
        assert not any(parts.memory._bytes)
