"""6.1(1): people flow is taken from the flow camera's pictures, and 4.2(1): these pictures serve nothing else."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import typing
from pathlib import Path

from firmware.camera.frames import SlotMemory, SmallFrames
from firmware.flow.record import Gap, GapReason, Record
from firmware.flow.run import run
from firmware.flow.settings import FlowSettings
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, SimulatedClock, start_of
from firmware.ground.log import Log
from tests.parts.in_process_counter import InProcessCounter

ROOT = Path(__file__).parents[2]
M = 29_923_296


class Sink:
    def __init__(self) -> None:
        self.records: list[Record] = []

    async def put(self, record: Record) -> None:
        self.records.append(record)

    async def last_minute(self) -> MinuteNumber | None:
        return MinuteNumber(M - 1)


async def test_without_pictures_there_are_gaps_and_no_numbers() -> None:
    clock, sink = SimulatedClock(start_of(MinuteNumber(M))), Sink()
    memory = SlotMemory(4096, 2)
    frames = SmallFrames(memory, clock)
    settings = FlowSettings()
    task = asyncio.create_task(
        run(frames, InProcessCounter(settings), sink, clock=clock, settings=settings, log=Log(io.StringIO()))
    )
    await asyncio.sleep(0)
    for _ in range(5 * 60):
        await clock.advance_to(clock.utc_ns() + NS_PER_SECOND)
        await asyncio.sleep(0)
    frames.close()
    figures = await task
    assert figures.slices == 0
    assert all(isinstance(record, Gap) for record in sink.records)
    assert {r.reason for r in sink.records if isinstance(r, Gap)} <= {GapReason.STOPPED, GapReason.CAMERA_FAULT}
    memory.close()


def test_the_house_has_no_other_way_in() -> None:
    """Pictures of one type, and nothing else that could carry one: no path, no descriptor, no address."""
    hints = typing.get_type_hints(run)
    assert hints["frames"] is SmallFrames
    assert set(inspect.signature(run).parameters) == {
        "frames", "counter", "sink", "clock", "settings", "log", "figures",
    }  # fmt: skip


def takes_a_frame(node: ast.AST) -> bool:
    """``async with pool.lease() as frame``; without ``as`` a frame is only overwritten."""
    return isinstance(node, ast.AsyncWith) and any(
        item.optional_vars is not None and ".lease" in ast.unparse(item.context_expr) for item in node.items
    )


def test_small_frames_are_taken_by_people_flow_and_by_nobody_else() -> None:
    taking = set()
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        if "SmallFrames" in names and any(map(takes_a_frame, nodes)):
            taking.add(str(path.relative_to(ROOT)))
    assert taking == {"firmware/flow/run.py"}
