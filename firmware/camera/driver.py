"""The port that every camera implements.

Knows:  that a camera runs until it ends, fails or is cancelled.
Never:  what kind of camera it is.
Leaves: frames, in the pools it was built with.
Clauses: 2, 5.1, 7.1(1) (one lens, two pools of two types).
"""

from __future__ import annotations

from typing import Protocol


class Camera(Protocol):
    """A source of pictures, built with ``SmallFrames`` and with ``MainFrames`` or ``Packets``, and a clock.

    It writes the small frame when a slice's time has come, the main stream at the footage's rate; claims no slot it
    does not publish or abandon; overwrites every buffer of its own before it lets go of it; keeps no frame. It never
    closes a pool: its owner does, when no other run will follow.
    """

    async def run(self) -> None:
        """Deliver frames until the video ends (returns), the task is cancelled, or the camera fails.

        Raises :class:`firmware.ground.errors.CameraError`: ``E-CAMERA-STALL`` (nothing came in time; worth another
        run after a wait), ``E-CAMERA-VIDEO`` (the file ended early; everything before was delivered). Every frame
        that could be delivered was delivered before it raises.
        """
