"""A falling house is raised again within its budget, and never takes another with it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable

import pytest

from firmware.ground.clock import NS_PER_SECOND, SimulatedClock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log
from firmware.ground.supervise import RestartBudget, keep_running


async def test_restarts_with_growing_waits_then_gives_up_with_the_failure_itself() -> None:
    clock, lines = SimulatedClock(0), io.StringIO()
    started_at: list[int] = []

    async def house() -> None:
        started_at.append(clock.utc_ns() // NS_PER_SECOND)
        raise CameraError("E-CAMERA-STALL", "no frame", where="cam0", todo="look at the cable")

    task = asyncio.create_task(
        keep_running("camera", house, clock=clock, log=Log(lines), budget=RestartBudget(restarts=4))
    )
    await clock.advance_to(100 * NS_PER_SECOND)
    with pytest.raises(CameraError):
        await task
    assert started_at == [0, 1, 3, 7, 15]
    assert [json.loads(line)["code"] for line in lines.getvalue().splitlines()] == ["E-CAMERA-STALL"] * 5
    assert "no frame" not in lines.getvalue()


async def test_a_house_that_ends_is_not_started_again() -> None:
    runs = 0

    async def house() -> None:
        nonlocal runs
        runs += 1

    await keep_running("flow", house, clock=SimulatedClock(0), log=Log(io.StringIO()), budget=RestartBudget())
    assert runs == 1


async def test_one_fall_leaves_the_neighbour_running() -> None:
    clock, beats = SimulatedClock(0), 0

    async def falling() -> None:
        raise ValueError

    async def steady() -> None:
        nonlocal beats
        for second in range(1, 6):
            await clock.sleep_until(second * NS_PER_SECOND)
            beats += 1

    def kept(name: str, house: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return asyncio.create_task(
            keep_running(name, house, clock=clock, log=Log(io.StringIO()), budget=RestartBudget(restarts=2))
        )

    bad, good = kept("flow", falling), kept("footage", steady)
    await clock.advance_to(10 * NS_PER_SECOND)
    await good
    with pytest.raises(ValueError):
        await bad
    assert beats == 5
