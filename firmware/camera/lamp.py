"""The lamp that says a camera is on, and the order that makes it true.

Knows:  a lamp; whether every slot is blank.
Never:  a picture while the lamp is dark; a dark lamp while a picture may exist.
Leaves: the block's result, under a burning lamp.
Clauses: 6.1(2), 7.1(2) (a camera at work is seen to be at work), 1 (an operation not shown is not run).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from firmware.camera.frames import SlotPool
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import CameraError


class Lamp(Protocol):
    """A light beside the lens. Implementations read back what they set."""

    @property
    def name(self) -> str:
        """For status and log; a code."""

    async def set(self, *, burning: bool) -> None:
        """Switch, and return when it is so. Raises :class:`CameraError` ``E-CAMERA-LAMP``."""

    async def burning(self) -> bool:
        """Return what the hardware says now. Raises :class:`CameraError` ``E-CAMERA-LAMP``."""


@asynccontextmanager
async def burning_lamp(lamp: Lamp, pools: Sequence[SlotPool]) -> AsyncIterator[None]:
    """Hold the lamp on for the block: on before it begins, off only when it has ended and every slot is blank.

    Run the camera inside, for one ``Camera.run()`` or for many with waits between. When the lamp cannot be lit,
    ``E-CAMERA-LAMP`` is raised and the block is not entered: no stream. When the block ends, in whichever way,
    frames nobody took are overwritten and those on lease are waited for; then the lamp goes dark. A lamp that cannot be
    switched off stays on: the safe side, raised all the same. The pools are used up afterwards.
    """
    try:
        await lamp.set(burning=True)  # 6.1(2), 7.1(2): before the first picture is asked for
        if not await lamp.burning():
            raise _dark(lamp)
    except BaseException:
        with suppress(CameraError):  # the first failure is the one to tell
            await lamp.set(burning=False)
        raise
    try:
        yield
    finally:
        for pool in pools:
            pool.close(discard=True)
        for pool in pools:
            await pool.drained()
        await lamp.set(burning=False)  # only now: no picture exists any more


async def watch_lamp(lamp: Lamp, clock: Clock, period_seconds: float = 5.0) -> None:
    """Look at the lamp every ``period_seconds``; raises :class:`CameraError` ``E-CAMERA-LAMP`` when it went dark.

    Run beside the camera, in the same task group, so that a lamp that fails ends the stream (6.1(2), 7.1(2)).
    """
    while True:
        await clock.sleep_until(clock.utc_ns() + round(period_seconds * NS_PER_SECOND))
        if not await lamp.burning():
            raise _dark(lamp)


def _dark(lamp: Lamp) -> CameraError:
    return CameraError(
        "E-CAMERA-LAMP",
        "the lamp does not burn although it was switched on",
        where=f"lamp {lamp.name}",
        clause="6.1(2)",
        todo="no stream is opened; mend the lamp or its wiring",
    )
