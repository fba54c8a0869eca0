"""The port to whatever counts people in a frame.

Knows:  a leased small frame goes in, whole numbers come out.
Never:  how, in which process, with which model.
Leaves: :class:`SliceCounts`.
Clauses: 2, 5.1 (the processing system stands behind a port), 6.1(4) (nothing but counts comes back).
"""

from __future__ import annotations

from typing import Protocol

from firmware.camera.frames import Frame
from firmware.flow.slice import SliceCounts


class Counter(Protocol):
    """Counts people. One question at a time."""

    async def ready(self) -> None:
        """Return when it can count. Called while no frame is held, because it may start a process.

        Raises :class:`firmware.ground.errors.JailError` while it cannot, :class:`firmware.ground.errors.ModelError`
        when its model was refused.
        """

    async def count(self, frame: Frame) -> SliceCounts:
        """Return the counts of ``frame``. When it returns or raises, nobody else reads the frame any more.

        Raises :class:`firmware.ground.errors.JailError`: late, dead, or an answer that is not exactly right.
        """
