"""A counter without a process: the same observer and models, in the test's own memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from firmware.camera.frames import Frame
from firmware.counter import build_observer
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from tests.parts.small_models import VECTORS


class InProcessCounter:
    """Implements :class:`firmware.flow.counting.Counter`."""

    def __init__(self, settings: FlowSettings, models: Path = VECTORS) -> None:
        self._observer = build_observer(models, settings)

    async def ready(self) -> None:
        """Always."""

    async def count(self, frame: Frame) -> SliceCounts:
        """Count here and now."""
        picture = np.frombuffer(frame.view, np.uint8)
        try:
            return self._observer.count(picture)
        finally:
            del picture
            self._observer.blank()
