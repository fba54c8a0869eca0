"""One lock a pole, across tasks and processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from pathlib import Path

import pytest

from firmware.ground.errors import StoreError
from firmware.ground.lock import PoleLock

HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


async def test_tasks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    lock = PoleLock(tmp_path / "lock")
    inside: list[int] = []

    async def section(number: int) -> None:
        async with lock.held():
            inside.append(number)
            await asyncio.sleep(0.001)
            assert inside[-1] == number

    await asyncio.gather(*(section(number) for number in range(20)))
    assert sorted(inside) == list(range(20))
    assert is_free(tmp_path / "lock")


async def test_another_process_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert await holder.stdout.readline() == b"held\n"

    async def enter() -> str:
        async with PoleLock(path).held():
            return "in"

    waiting = asyncio.create_task(enter())
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    holder.stdin.close()
    assert await waiting == "in"
    assert await holder.wait() == 0


async def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    await holder.stdout.readline()
    holder.kill()
    await holder.wait()
    holder.stdin.close()
    async with PoleLock(path).held():
        assert not is_free(path)


async def test_a_cancelled_section_is_not_cut_in_half(tmp_path: Path) -> None:
    lock = PoleLock(tmp_path / "lock")
    steps: list[str] = []

    async def section() -> None:
        steps.append("first half")
        await asyncio.sleep(0.02)
        assert not is_free(tmp_path / "lock")
        steps.append("second half")

    task = asyncio.create_task(lock.during(section()))
    while not steps:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["first half", "second half"]
    assert is_free(tmp_path / "lock")


async def test_a_failed_section_frees_the_lock(tmp_path: Path) -> None:
    lock = PoleLock(tmp_path / "lock")

    async def section() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await lock.during(section())
    assert is_free(tmp_path / "lock")


async def test_a_missing_state_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="E-STORE-LOCK"):
        async with PoleLock(tmp_path / "nowhere" / "lock").held():
            pass
